"""The best of many scores, without sorting them all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from likewise.ranking.array_types import FloatArray


# Scores in a group, of which only the maximum is compared at first.
_GROUP = 32


def best_columns(scores: FloatArray, count: int) -> NDArray[np.intp]:
    """Return up to `count` places of the highest finite scores [n], highest first, ties by place.

    Of equal scores that compete for the last place, the first one is taken; places of `-inf` never.
    """
    places = np.flatnonzero(scores >= _least_of_best(scores, count))
    found = scores[places]
    order = np.argsort(-found, kind="stable")[:count]
    best: NDArray[np.intp] = places[order[found[order] > -np.inf]]
    return best


def _least_of_best(scores: FloatArray, count: int) -> float:
    """Return a score that at least `count` scores reach, and not many more; -inf if there are fewer."""
    groups = len(scores) // _GROUP
    if groups < 2 * count:
        values = scores
    else:  # that many groups have a maximum of at least this, and each maximum is a score
        values = scores[: groups * _GROUP].reshape(_GROUP, groups).max(axis=0)
    if not 0 < count < len(values):
        return -np.inf
    return float(np.partition(values, len(values) - count)[len(values) - count])


def best_columns_of_each(scores: FloatArray, count: int) -> tuple[NDArray[np.intp], FloatArray]:
    """Return the places of the highest scores of each row, and the scores, both [B, count].

    Highest first, ties by place; fewer than `count` where there are fewer columns. What is `-inf`
    comes last, and is there only where a row has too few other scores.
    """
    places = _promising(scores, count)
    found = np.take_along_axis(scores, places, axis=1)
    if count < places.shape[1]:
        chosen = np.argpartition(-found, count - 1, axis=1)[:, :count]
        places = np.take_along_axis(places, chosen, axis=1)
        found = np.take_along_axis(found, chosen, axis=1)
    order = np.lexsort((places, -found))
    return np.take_along_axis(places, order, axis=1), np.take_along_axis(found, order, axis=1)


def largest_places(values: FloatArray, keep: int) -> NDArray[np.intp]:
    """Return the places of the `keep` largest values by absolute value, in order of place.

    So rows of links are cut, in a build and for items that came after it.
    """
    if len(values) <= keep:
        return np.arange(len(values))
    return np.sort(np.argpartition(np.abs(values), len(values) - keep)[-keep:])


def _promising(scores: FloatArray, count: int) -> NDArray[np.intp]:
    """Return places [B, …] that each row's highest `count` scores are among; of many, a few.

    No more than `count` groups hold one of the highest, and they are those of the highest maxima.
    Group g has the places g, g + groups, g + 2 groups…, since maxima of columns cost least.
    """
    rows, columns = scores.shape
    groups = columns // _GROUP
    if groups < 8 * count:
        return np.broadcast_to(np.arange(columns), scores.shape)
    grouped = groups * _GROUP
    maxima = scores[:, :grouped].reshape(rows, _GROUP, groups).max(axis=1)
    chosen = np.argpartition(-maxima, count - 1, axis=1)[:, :count]
    members = chosen[:, None, :] + groups * np.arange(_GROUP)[:, None]
    rest = np.broadcast_to(np.arange(grouped, columns), (rows, columns - grouped))
    return np.concatenate([members.reshape(rows, -1), rest], axis=1)
