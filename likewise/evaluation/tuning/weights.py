"""The search for the weights of other kinds of signals, one kind after another."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from indexer.recipes import DEFAULTS
from likewise.evaluation.likes.held_out import hold_out
from likewise.evaluation.likes.table import Split
from likewise.evaluation.tuning.workbench import Trial, Workbench
from likewise.messages.ids import DISLIKE, HIDE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from indexer.progress import Progress
    from likewise.evaluation.likes.held_out import HeldOut
    from likewise.evaluation.likes.table import LikeTable
    from likewise.messages.ids import SignalKind

# From the middle outwards: a search that ends early has tried the likely ones.
_WEIGHTS = (0.2, 0.5, 1.0, 0.1, 2.0, 0.05, 4.0)
_USERS = 4_000


@dataclass(frozen=True, slots=True)
class WeightTrial:
    """Weights, and how well the default recipe did with them on the validation likes."""

    weights: dict[SignalKind, float]
    recall: float
    ndcg: float


@dataclass(frozen=True, slots=True)
class WeightTuning:
    """What a search for weights found."""

    weights: dict[SignalKind, float]
    """The best weight of each kind; 0 for a kind that does not help."""
    trials: list[WeightTrial]
    """In the order tried; the first is without the kinds."""
    spent_s: float


def tunable(likes: LikeTable, given: Mapping[SignalKind, float]) -> list[SignalKind]:
    """Return the kinds whose weights a search looks for: not those that count against items."""
    kinds = [kind for kind in likes.others if kind not in (DISLIKE, HIDE)]
    return [kind for kind in kinds if given.get(kind, 0) >= 0]


def tune_weights(
    likes: LikeTable,
    splits: NDArray[np.int8],
    given: Mapping[SignalKind, float],
    *,
    k: int,
    seed: int,
    budget_s: float,
    progress: Progress,
    clock_s: Callable[[], float] = time.process_time,
) -> WeightTuning:
    """Return weights that predict the validation likes well, fitted on train.

    Every kind begins at 0. Kinds are searched one after another, the most frequent first, each with
    the weights found before. Of the weights within one paired standard error of the best, the smallest is
    taken, so that a kind that does not help stays at 0. The target, dislikes and other negative kinds keep the weight `given` to them. The search ends after `budget_s`, except that a trial that has begun is finished.
    """
    search = _Search(likes, splits, dict(given), k, seed, budget_s, progress, clock_s, clock_s())
    return search.run()


@dataclass(slots=True)
class _Search:
    likes: LikeTable
    splits: NDArray[np.int8]
    given: dict[SignalKind, float]
    k: int
    seed: int
    budget_s: float
    progress: Progress
    clock_s: Callable[[], float]
    began_s: float
    trials: list[WeightTrial] = field(default_factory=list)

    def run(self) -> WeightTuning:
        others = self.likes.others
        kinds = tunable(self.likes, self.given)
        kinds.sort(key=lambda kind: -others[kind].interactions.likes)
        kept = {kind: weight for kind, weight in self.given.items() if kind not in kinds}
        kept.setdefault(self.likes.kind, 1.0)
        # Weight 0 keeps a kind out of the fit, but what is recommended must not differ between trials.
        weights = kept | dict.fromkeys(kinds, 0.0)
        best = self._try(weights)
        for kind in kinds:
            found = {0.0: best}
            for weight in _WEIGHTS:
                if not self._has_time():
                    break
                found[weight] = self._try(weights | {kind: weight})
            weights[kind], best = _smallest_of_the_best(found)
        return WeightTuning(weights, self.trials, self.clock_s() - self.began_s)

    def _try(self, weights: Mapping[SignalKind, float]) -> Trial:
        self.progress.step(f"tuning weights: trial {len(self.trials) + 1}")
        held_out = self._held_out(weights)
        recipe = DEFAULTS["blend"]
        bench = Workbench(held_out, recipe, recipe.rank, k=self.k, seed=self.seed)
        everybody = np.random.default_rng(self.seed).permutation(len(held_out.user_rows))
        trial = bench.try_out(recipe, np.sort(everybody[:_USERS]))
        self.trials.append(WeightTrial(dict(weights), trial.recall, trial.ndcg))
        return trial

    def _held_out(self, weights: Mapping[SignalKind, float]) -> HeldOut:
        return hold_out(
            self.likes, self.splits, fit=[Split.TRAIN], wanted=Split.VALID, weights=weights
        )

    def _has_time(self) -> bool:
        spent_s = self.clock_s() - self.began_s
        return spent_s * (1 + 1 / len(self.trials)) < self.budget_s


def _smallest_of_the_best(found: Mapping[float, Trial]) -> tuple[float, Trial]:
    """Return the smallest weight that is within one paired standard error of the best, and its trial."""
    best = max(found.values(), key=lambda trial: trial.score)
    return next(
        (weight, found[weight]) for weight in sorted(found) if found[weight].keeps_up_with(best)
    )
