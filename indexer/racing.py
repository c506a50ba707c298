"""Comparing many recipes on held-out likes: those that are clearly worse stop early."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from likewise.ranking.array_types import FloatArray
    from likewise.ranking.recipe import Recipe

# Likes of the first round; each round has twice as many as those before it together.
_FIRST_ROUND = 400
_GROWTH = 3
# A recipe leaves the race if the leader is better by so many paired standard errors.
_CLEARLY_WORSE = 3.0


class Measure(Protocol):
    """The gains of some held-out likes under some recipes: `indexer.gains.Gains.of`."""

    def __call__(self, recipes: Sequence[Recipe], likes: range, /) -> FloatArray: ...


class Race(NamedTuple):
    """What a race found of each recipe."""

    gains: FloatArray
    """[recipes, likes], not a number where a recipe had left the race."""
    likes: NDArray[np.intp]
    """[recipes] how many likes each has ranked."""


def race(
    measure: Measure, recipes: Sequence[Recipe], users: NDArray[np.intp], *, reference: int = 0
) -> Race:
    """Return the gains of recipes on held-out likes in random order; `users` are those who like them.

    The recipe `reference` stays to the end, so that every other can be compared with it.
    """
    total = len(users)
    gains = np.full((len(recipes), total), np.nan, np.float32)
    likes = np.zeros(len(recipes), np.intp)
    racing: NDArray[np.intp] = np.arange(len(recipes))
    done = 0
    while done < total:
        end = min(max(_FIRST_ROUND, _GROWTH * done), total)
        gains[racing, done:end] = measure(
            [recipes[place] for place in racing.tolist()], range(done, end)
        )
        done = end
        likes[racing] = done
        found = of_users(gains[racing, :done], users[:done])
        lost = found[found.mean(axis=1).argmax()] - found
        worse = lost.mean(axis=1) > _CLEARLY_WORSE * standard_errors(lost)
        racing = racing[~worse | (racing == reference)]
    return Race(gains, likes)


def of_users(gains: FloatArray, users: NDArray[np.intp]) -> FloatArray:
    """Return the mean of each user's gains, [recipes, users]: every user counts the same, as in an evaluation."""
    _, numbers = np.unique(users, return_inverse=True)
    counts = np.bincount(numbers)
    return np.asarray([np.bincount(numbers, row) / counts for row in gains], np.float32)


def standard_errors(values: FloatArray) -> FloatArray:
    """Return the standard error of the mean of each row."""
    return np.asarray(values.std(axis=1) / np.sqrt(max(values.shape[1], 1)), np.float32)
