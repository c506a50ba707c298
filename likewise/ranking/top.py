"""The best of many scores, without sorting them all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from likewise.ranking.model import FloatArray


# Scores that one maximum stands for.
_GROUP = 32


def best_columns(scores: FloatArray, count: int) -> NDArray[np.intp]:
    """Return up to `count` places of the highest finite scores, highest first, ties by place.

    `scores` has one dimension; places of `-inf` are never returned.
    """
    places = _promising(scores, count)
    if count < len(places):
        places = places[np.argpartition(-scores[places], count - 1)[:count]]
    places = places[np.isfinite(scores[places])]
    return places[np.lexsort((places, -scores[places]))]


def _promising(scores: FloatArray, count: int) -> NDArray[np.intp]:
    """Return places that the highest `count` scores are among; of many scores, a few.

    No more than `count` groups hold one of the highest, and they are those of the highest maxima.
    Group g has the places g, g + groups, g + 2 groups…, since maxima of columns cost least.
    """
    groups = len(scores) // _GROUP
    if groups < 8 * count:
        return np.arange(len(scores))
    grouped = groups * _GROUP
    maxima = scores[:grouped].reshape(_GROUP, groups).max(axis=0)
    chosen = np.argpartition(-maxima, count - 1)[:count]
    places = chosen + groups * np.arange(_GROUP)[:, None]
    return np.concatenate([places.ravel(), np.arange(grouped, len(scores))])
