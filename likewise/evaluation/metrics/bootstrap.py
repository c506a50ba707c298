"""Confidence intervals by resampling users (Efron, "Bootstrap Methods", 1979)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

RESAMPLES = 1_000
CONFIDENCE = 0.95

Benefit = Literal["helps", "harms", "no clear difference"]


def resampled_means(
    values: NDArray[np.float64], *, seed: int, resamples: int = RESAMPLES
) -> NDArray[np.float64]:
    """Return the means [resamples, columns] of users drawn with replacement from `values`.

    `values` is [users, columns]. For an equal number of users and an equal seed, the same users are
    drawn, so that differences of two results are paired.
    """
    users = len(values)
    draw = np.random.default_rng(seed)
    means = np.empty((resamples, values.shape[1]))
    for number in range(resamples):
        times_drawn = np.bincount(draw.integers(users, size=users), minlength=users)
        means[number] = times_drawn @ values
    return means / max(users, 1)


def intervals(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the percentile interval of each column, [2, columns]: low and high."""
    tail = (1 - CONFIDENCE) / 2
    return np.quantile(means, [tail, 1 - tail], axis=0)


def benefit_of(difference: tuple[float, float]) -> Benefit:
    """Return what an interval of a difference says: it helps or harms if the interval excludes zero."""
    low, high = difference
    return "helps" if low > 0 else "harms" if high < 0 else "no clear difference"
