"""What leaving users out of the models does to the quality for everybody else: the same recipe with and without."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from indexer.interactions import interactions_of, replace_users
from likewise.evaluation.contenders import Bench
from likewise.evaluation.errors import EvaluationError
from likewise.evaluation.likes.held_out import hold_out
from likewise.evaluation.likes.table import Split
from likewise.evaluation.metrics.bootstrap import Benefit, benefit_of, intervals, resampled_means
from likewise.evaluation.metrics.lists import METRICS, coverage, per_user
from likewise.evaluation.ranking import rank

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from numpy.typing import NDArray

    from indexer.progress import Progress
    from likewise.evaluation.likes.splits import Division
    from likewise.evaluation.likes.table import LikeTable
    from likewise.evaluation.metrics.summaries import Interval
    from likewise.messages.ids import SignalKind, UserId
    from likewise.ranking.recipe import Recipe


@dataclass(frozen=True, slots=True)
class ExclusionEffect:
    """How well the other users' held-out likes are predicted with and without the excluded users."""

    listed: int
    """Users in the list."""
    found: int
    """Those of them who have likes."""
    likes: int
    """Their likes."""
    users: int
    """Users measured: others, the same ones for both."""
    including: dict[str, float]
    """Means over the users, by metric; `coverage` is the share of items that are in any list."""
    without: dict[str, float]
    difference: dict[str, Interval]
    """By metric but coverage: the interval of what the exclusion adds, paired by user."""

    @property
    def verdict(self) -> Benefit:
        """What the interval of nDCG says of the exclusion."""
        return benefit_of(self.difference["ndcg"])


def without_users(likes: LikeTable, excluded: AbstractSet[UserId]) -> LikeTable:
    """Return the likes, and the other signals, without those of these users."""
    interactions = likes.interactions
    present = excluded & set(interactions.user_ids)
    others = {kind: without_users(table, excluded) for kind, table in likes.others.items()}
    if not present:
        return replace(likes, others=others)
    kept = kept_likes(likes, excluded)
    return replace(
        likes,
        interactions=replace_users(interactions, present, interactions_of([])),
        times_ms=None if likes.times_ms is None else likes.times_ms[kept],
        splits=None if likes.splits is None else likes.splits[kept],
        others=others,
    )


def kept_likes(likes: LikeTable, excluded: AbstractSet[UserId]) -> NDArray[np.bool_]:
    """Return which likes [likes] are of other users."""
    stays = np.array([user not in excluded for user in likes.interactions.user_ids], np.bool_)
    return stays[likes.users]


def effect_of_exclusion(
    likes: LikeTable,
    division: Division,
    recipe: Recipe,
    weights: Mapping[SignalKind, float],
    excluded: AbstractSet[UserId],
    *,
    k: int,
    seed: int,
    progress: Progress,
) -> ExclusionEffect:
    """Return the effect on the test likes of all other users, under one recipe.

    Both models rank for the same users; they differ in whose likes they were fitted on.

    Raises:
        EvaluationError: nobody else has test likes.
    """
    kept = kept_likes(likes, excluded)
    remaining = without_users(likes, excluded)
    # Nobody excluded is asked for: their test likes are in no split.
    hidden = np.where(kept | (division.splits != Split.TEST), division.splits, -1).astype(np.int8)
    if not (hidden == Split.TEST).any():
        raise EvaluationError("every user with test likes is excluded")
    measure = _Measure(recipe, weights, k, seed, progress)
    before = measure(likes, hidden, "with the excluded users")
    after = measure(remaining, division.splits[kept], "without the excluded users")
    low, high = intervals(resampled_means(after.values - before.values, seed=seed))
    spans = zip(low.tolist(), high.tolist(), strict=True)
    users = set(likes.interactions.user_ids)
    return ExclusionEffect(
        listed=len(excluded),
        found=len(excluded & users),
        likes=int((~kept).sum()),
        users=len(before.values),
        including=before.means(),
        without=after.means(),
        difference=dict(zip(METRICS, spans, strict=True)),
    )


@dataclass(frozen=True, slots=True)
class _Measured:
    values: NDArray[np.float64]
    coverage: float

    def means(self) -> dict[str, float]:
        means = dict(zip(METRICS, self.values.mean(axis=0).tolist(), strict=True))
        return {**means, "coverage": self.coverage}


@dataclass(frozen=True, slots=True)
class _Measure:
    recipe: Recipe
    weights: Mapping[SignalKind, float]
    k: int
    seed: int
    progress: Progress

    def __call__(self, likes: LikeTable, splits: NDArray[np.int8], name: str) -> _Measured:
        fit = (Split.TRAIN, Split.VALID)
        held_out = hold_out(likes, splits, fit=fit, wanted=Split.TEST, weights=self.weights)
        bench = Bench(held_out.fit, seed=self.seed, progress=self.progress)
        model = bench.build(name, self.recipe).model
        top = rank(model, held_out.queries(), k=self.k, progress=self.progress).top
        users = np.arange(len(held_out.user_rows))
        return _Measured(per_user(top, held_out, users), coverage(top, len(held_out.fit.item_ids)))
