"""From the lists of all contenders to means, intervals, and groups of users."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from likewise.evaluation.metrics.bootstrap import RESAMPLES, intervals, resampled_means
from likewise.evaluation.metrics.lists import ACCURACY, METRICS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from likewise.ranking.recipe import Recipe

Interval = tuple[float, float]
_GROUPS = 4


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """The figures of one contender for each user."""

    name: str
    recipe: Recipe | None
    """None for a baseline that has none."""
    users: NDArray[np.intp]
    """[users] places in the measurement's users."""
    values: NDArray[np.float64]
    """[users, len(METRICS)]"""
    coverage: float
    build_s: float
    ms_per_query: float


@dataclass(frozen=True, slots=True)
class Figures:
    """Means over some users, by metric, each with its interval."""

    users: int
    means: dict[str, float]
    intervals: dict[str, Interval]


@dataclass(frozen=True, slots=True)
class Group:
    """Users of one range of activity: `low` to `high` likes, both included."""

    low: int
    high: int
    figures: Figures


@dataclass(frozen=True, slots=True)
class Summary:
    """The results of one contender."""

    name: str
    recipe: Recipe | None
    figures: Figures
    coverage: float
    against_default: dict[str, Interval]
    """By metric, the interval of the difference from the served recipe, over the users that both ranked for."""
    groups: list[Group]
    build_s: float
    ms_per_query: float


def summarise(
    measured: Sequence[Measured],
    activity: NDArray[np.intp],
    *,
    default: str,
    seed: int,
    resamples: int = RESAMPLES,
) -> list[Summary]:
    """Return the summary of each contender, in their order.

    `activity` [all users] is how many likes each user has in the data the models were fitted on;
    its quartiles make the groups.
    """
    (served,) = [one for one in measured if one.name == default]
    bounds = _bounds(activity)
    return [
        Summary(
            name=one.name,
            recipe=one.recipe,
            figures=_figures(one.values, seed, resamples),
            coverage=one.coverage,
            against_default={} if one is served else _against(one, served, seed, resamples),
            groups=[
                Group(low, high, _figures(one.values[inside], seed, resamples))
                for low, high in bounds
                if (inside := _between(activity[one.users], low, high)).any()
            ],
            build_s=one.build_s,
            ms_per_query=one.ms_per_query,
        )
        for one in measured
    ]


def _figures(values: NDArray[np.float64], seed: int, resamples: int) -> Figures:
    means = values.mean(axis=0)
    low, high = intervals(resampled_means(values, seed=seed, resamples=resamples))
    return Figures(
        users=len(values),
        means=dict(zip(METRICS, means.tolist(), strict=True)),
        intervals=_named(METRICS, low, high),
    )


def _against(one: Measured, other: Measured, seed: int, resamples: int) -> dict[str, Interval]:
    _, here, there = np.intersect1d(one.users, other.users, return_indices=True)
    n = len(ACCURACY)
    differences = one.values[here][:, :n] - other.values[there][:, :n]
    low, high = intervals(resampled_means(differences, seed=seed, resamples=resamples))
    return _named(ACCURACY, low, high)


def _bounds(activity: NDArray[np.intp]) -> list[tuple[int, int]]:
    """Return the ranges of activity that divide the users into quarters, as far as ties allow."""
    cuts = np.quantile(activity, np.arange(1, _GROUPS) / _GROUPS, method="lower")
    highs = np.unique(np.append(cuts, activity.max())).tolist()
    lows = [int(activity.min()), *(high + 1 for high in highs[:-1])]
    return list(zip(lows, highs, strict=True))


def _between(activity: NDArray[np.intp], low: int, high: int) -> NDArray[np.bool_]:
    return (activity >= low) & (activity <= high)


def _named(
    names: Sequence[str], low: NDArray[np.float64], high: NDArray[np.float64]
) -> dict[str, Interval]:
    return dict(zip(names, zip(low.tolist(), high.tolist(), strict=True), strict=True))
