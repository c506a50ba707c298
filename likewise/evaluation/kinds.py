"""Whether a kind of signal helps to predict the target kind: the served recipe with and without it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from likewise.evaluation.contenders import Bench
from likewise.evaluation.likes.held_out import hold_out
from likewise.evaluation.likes.table import Split
from likewise.evaluation.metrics.bootstrap import Benefit, benefit_of, intervals, resampled_means
from likewise.evaluation.metrics.lists import METRICS, per_user
from likewise.evaluation.ranking import rank
from likewise.messages.ids import DISLIKE, HIDE

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from indexer.progress import Progress
    from likewise.evaluation.likes.held_out import HeldOut
    from likewise.evaluation.likes.table import LikeTable
    from likewise.evaluation.metrics.summaries import Interval
    from likewise.messages.ids import SignalKind
    from likewise.ranking.model import Model
    from likewise.ranking.recipe import Recipe

USUAL_WEIGHT = 0.5
"""The weight of a kind that settings give none; of a dislike, its negative."""
_SHOWN = METRICS[:2]
"""Recall and nDCG."""


@dataclass(frozen=True, slots=True)
class KindEffect:
    """How well the target is predicted with one more kind of signal, and without it."""

    kind: SignalKind
    weight: float
    signals: int
    """Number of signals of the kind."""
    users: int
    """Number of users measured."""
    without: dict[str, float]
    """Means over the users, by metric."""
    including: dict[str, float]
    difference: dict[str, Interval]
    """By metric, the interval of what the kind adds, paired by user."""

    @property
    def verdict(self) -> Benefit:
        """What the interval of nDCG says: the kind helps or harms if it excludes zero."""
        return benefit_of(self.difference["ndcg"])


def effects_of_kinds(
    likes: LikeTable,
    splits: NDArray[np.int8],
    recipe: Recipe,
    weights: Mapping[SignalKind, float],
    users: NDArray[np.intp],
    *,
    k: int,
    seed: int,
    progress: Progress,
) -> list[KindEffect]:
    """Return the effect of each kind but the target, alone, on these users of the test likes.

    Both models are fitted under the recipe and recommend the same items: what differs is the kind's part in the
    matrix and in the queries. `hide` is left out, since it has no weight.
    """
    measure = _Measure(likes, splits, recipe, users, k, seed, progress)
    target = {likes.kind: weights.get(likes.kind, 1.0)}
    plain: Model | None = None
    effects = []
    for kind, table in likes.others.items():
        if kind == HIDE:
            continue
        weight = weights.get(kind) or (-USUAL_WEIGHT if kind == DISLIKE else USUAL_WEIGHT)
        without, including = (measure.held_out({**target, kind: each}) for each in (0.0, weight))
        plain = plain or measure.model(without, f"without {kind}")
        model = measure.model(including, f"with {kind}") if weight > 0 else plain
        before, after = measure.values(plain, without), measure.values(model, including)
        low, high = intervals(resampled_means(after - before, seed=seed))
        effects.append(
            KindEffect(
                kind=kind,
                weight=weight,
                signals=table.interactions.likes,
                users=len(users),
                without=dict(zip(_SHOWN, before.mean(axis=0).tolist(), strict=True)),
                including=dict(zip(_SHOWN, after.mean(axis=0).tolist(), strict=True)),
                difference=dict(
                    zip(_SHOWN, zip(low.tolist(), high.tolist(), strict=True), strict=True)
                ),
            )
        )
    return effects


@dataclass(frozen=True, slots=True)
class _Measure:
    likes: LikeTable
    splits: NDArray[np.int8]
    recipe: Recipe
    users: NDArray[np.intp]
    k: int
    seed: int
    progress: Progress

    def held_out(self, weights: Mapping[SignalKind, float]) -> HeldOut:
        return hold_out(
            self.likes,
            self.splits,
            fit=(Split.TRAIN, Split.VALID),
            wanted=Split.TEST,
            weights=weights,
        )

    def model(self, held_out: HeldOut, name: str) -> Model:
        bench = Bench(held_out.fit, seed=self.seed, progress=self.progress)
        return bench.build(name, self.recipe).model

    def values(self, model: Model, held_out: HeldOut) -> NDArray[np.float64]:
        """Return recall and nDCG of each user, [users, 2]."""
        queries = held_out.queries()
        asked = [queries[user] for user in self.users]
        top = rank(model, asked, k=self.k, progress=self.progress).top
        return per_user(top, held_out, self.users)[:, : len(_SHOWN)]
