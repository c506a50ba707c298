"""Searching for the recipe that ranks validation likes best, within a time; test is never seen.

One round tries recipes that share a factorisation: first those of `ranker=auto`, then grids around the best of
them, one group of numbers after the other, what has paid most often first, then random steps. The first round is
on the factors of the default, the others, in short, on other factors, while time is left. All recipes are screened on one sample of
users, so that they are compared on equal terms; the best few of each round are then scored on more
users, and that score decides.

Last comes the one-standard-error rule (Breiman et al., "Classification and Regression Trees", 1984): of what
can't be told from the best, the most prudent is taken. That is first what needs no other matrix than the default,
then popular items that weigh more, then a stronger ridge. Validation likes are a sample of the past, and what
comes next is always a little less like it. But nothing is taken that does worse than the best of auto's list.

The time is CPU time of this process, so that a busy machine ends a search no sooner.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from msgspec import structs

from indexer.candidates import candidates
from indexer.recipes import DEFAULTS
from likewise.evaluation.errors import EvaluationError
from likewise.evaluation.tuning import search_space
from likewise.evaluation.tuning.workbench import Trial, Workbench
from likewise.settings import ModelSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from indexer.progress import Progress
    from likewise.evaluation.likes.held_out import HeldOut
    from likewise.evaluation.tuning.search_space import Stage
    from likewise.evaluation.tuning.weights import WeightTuning
    from likewise.ranking.recipe import Recipe

_SCREENED_USERS = 2_000
_FINAL_USERS = 6_000
_FINALISTS = 3
# Of the budget; what is left is for other factors.
_FIRST_SHARE = 0.6
# With more likes, factors of the largest rank would take most of a budget of minutes.
_LARGEST_RANK_LIKES = 300_000


@dataclass(frozen=True, slots=True)
class Tuning:
    """What a search found."""

    best: Trial
    default: Trial
    """The untuned blend, on the same users."""
    trials: int
    users: int
    budget_s: float
    spent_s: float
    """Both in CPU time."""
    not_reached: tuple[str, ...] = ()
    """The parts of the search for which the budget was too small."""
    weights: WeightTuning | None = None
    """The weights of other kinds of signals, found before; None if there are no such kinds."""


def tune(
    held_out: HeldOut,
    *,
    k: int,
    seed: int,
    budget_s: float,
    progress: Progress,
    clock_s: Callable[[], float] = time.process_time,
) -> Tuning:
    """Return the recipe with the highest mean of recall@k and nDCG@k on the likes held out.

    `held_out` is fitted on train and asks for valid. The default is tried first, then what `ranker=auto` would
    try. The search ends within `budget_s` of CPU time, if that is enough for one factorisation and a few trials,
    which are the least it does. Where time is enough for all steps, the seed alone decides the result.

    Raises:
        EvaluationError: no like is held out.
    """
    if not len(held_out.user_rows):
        raise EvaluationError("no like is in valid: there is nothing to tune on")
    return _Search(held_out, k, seed, budget_s, progress, clock_s, clock_s()).run()


@dataclass(slots=True)
class _Search:
    held_out: HeldOut
    k: int
    seed: int
    budget_s: float
    progress: Progress
    clock_s: Callable[[], float]
    began_s: float
    finals: list[Trial] = field(default_factory=list)
    """Of all rounds, on the final users, best first."""
    listed: list[Recipe] = field(default_factory=list)
    """What `ranker=auto` would try."""
    floor: Trial | None = None
    """The best of auto's list, on the final users."""
    home: tuple[Trial, ...] = ()
    """What is to be preferred, in this order: of the first factors, the prudent one and the best."""
    prudent: Trial | None = None
    """What the one-standard-error rule makes of the best, on the factors of the best."""
    trials: int = 0
    setup_s: float = 0.0
    """The longest factorisation so far."""
    trials_s: list[float] = field(default_factory=list)
    """How long each trial took, on the screened users."""
    not_reached: list[str] = field(default_factory=list)

    def run(self) -> Tuning:
        default = DEFAULTS["blend"]
        largest = self._largest_rank()
        self.listed = candidates(ModelSettings(), self.held_out.fit.user_items)
        stages: dict[str, Stage] = {"auto's list": lambda _: self.listed}
        stages |= search_space.first_stages(largest, seed=self.seed)
        self._round("the default's matrix", default, largest, stages, share=_FIRST_SHARE)
        self.floor = max((one for one in self.finals if one.recipe in self.listed), key=_score)
        self.home = tuple(trial for trial in (self.prudent, self.finals[0]) if trial)
        start = next(trial.recipe for trial in self.finals if trial.recipe.ranker in _ON_FACTORS)
        similar = DEFAULTS["cooccurrence"]
        alike: dict[str, Stage] = {"weights": search_space.similarity_recipes}
        self._round("co-occurrence", similar, similar.rank, alike)
        around: dict[str, Stage] = {
            "weights": search_space.weights,
            "finer ridges": search_space.finer_ridges,
        }
        for a, b in search_space.OTHER_EXPONENTS:
            recipe = structs.replace(start, user_exponent=a, item_exponent=b)
            self._round(f"exponents {a:g}, {b:g}", recipe, recipe.rank, around)
        return Tuning(
            best=self._chosen(),
            default=next(trial for trial in self.finals if trial.recipe == default),
            trials=self.trials,
            users=len(self._users(_FINAL_USERS)),
            budget_s=self.budget_s,
            spent_s=self.clock_s() - self.began_s,
            not_reached=tuple(self.not_reached),
        )

    def _chosen(self) -> Trial:
        best = self.finals[0]
        safer = [trial for trial in self.home if trial.keeps_up_with(best)]
        if self.prudent is not None:
            safer.append(self.prudent)
        least = self.floor.score if self.floor else 0.0
        return next((trial for trial in safer if trial.score >= least), best)

    def _round(
        self,
        name: str,
        start: Recipe,
        largest_rank: int,
        stages: Mapping[str, Stage],
        *,
        share: float = 1.0,
    ) -> None:
        """Try recipes on the factors of `start`, from it on; add the best of them to `finals`."""
        if self.trials and not self._has_time(1.2 * self.setup_s + self._reserve_s(), share):
            self.not_reached.append(name)
            return
        began_s = self.clock_s()
        self.progress.step("tuning: factors")
        bench = Workbench(self.held_out, start, largest_rank, k=self.k, seed=self.seed)
        self.setup_s = max(self.setup_s, self.clock_s() - began_s)
        screened = {start: self._screen(bench, start)}
        for stage, recipe in _proposals(screened, stages):
            if not self._has_time(self._reserve_s(), share):
                missed = [*stages][[*stages].index(stage) :]
                self.not_reached.append(f"{name}: {', '.join(missed)}")
                break
            if recipe not in screened:
                screened[recipe] = self._screen(bench, recipe)
        best = sorted(screened.values(), key=_score, reverse=True)[:_FINALISTS]
        best += sorted(_listed(screened, self.listed), key=_score, reverse=True)[:1]
        finalists = dict.fromkeys([start, *(trial.recipe for trial in best)])
        final = [self._try_out(bench, recipe, _FINAL_USERS) for recipe in finalists]
        former_best = self.finals[0] if self.finals else None
        self.finals = sorted([*self.finals, *final], key=_score, reverse=True)
        if self.finals[0] is not former_best:
            self.prudent = self._prudent(bench, self.finals[0])

    def _screen(self, bench: Workbench, recipe: Recipe) -> Trial:
        began_s = self.clock_s()
        trial = self._try_out(bench, recipe, _SCREENED_USERS)
        self.trials_s.append(self.clock_s() - began_s)
        return trial

    def _prudent(self, bench: Workbench, best: Trial) -> Trial:
        """Return the most prudent recipe that does as well, as far as can be told."""
        prudent = best
        for safer in (search_space.more_popular, search_space.stronger_ridges):
            trials = (self._try_out(bench, one, _FINAL_USERS) for one in safer(prudent.recipe))
            prudent = next((trial for trial in trials if trial.keeps_up_with(best)), prudent)
        return prudent

    def _try_out(self, bench: Workbench, recipe: Recipe, users: int) -> Trial:
        spent_s = self.clock_s() - self.began_s
        best = f", best so far {self.finals[0].score:.4f}" if self.finals else ""
        self.progress.step(f"tuning: trial {self.trials + 1}{best}")
        self.progress.expect(round(self.budget_s))
        self.progress.advance(min(round(spent_s), round(self.budget_s)))
        self.trials += 1
        return bench.try_out(recipe, self._users(users))

    def _users(self, most: int) -> NDArray[np.intp]:
        """Return a sample of the users; a larger one holds the smaller ones."""
        everybody = len(self.held_out.user_rows)
        return np.sort(np.random.default_rng(self.seed).permutation(everybody)[:most])

    def _has_time(self, seconds: float, share: float) -> bool:
        return self.clock_s() - self.began_s + seconds < self.budget_s * share

    def _reserve_s(self) -> float:
        """Return how long one more trial, at worst, and the final ones, whose links are there, will take."""
        longer = len(self._users(_FINAL_USERS)) / len(self._users(_SCREENED_USERS))
        finals = _FINALISTS + 2 + search_space.PRUDENT_TRIALS
        return max(self.trials_s) + float(np.median(self.trials_s)) * finals * longer

    def _largest_rank(self) -> int:
        small = self.held_out.fit.likes <= _LARGEST_RANK_LIKES
        return search_space.RANKS[-1] if small else DEFAULTS["blend"].rank


def _proposals(
    screened: dict[Recipe, Trial], stages: Mapping[str, Stage]
) -> Iterator[tuple[str, Recipe]]:
    """Yield what to try next, and in which stage; each begins from what was best by then."""
    for name, stage in stages.items():
        for recipe in stage(max(screened.values(), key=_score).recipe):
            yield name, recipe


def _listed(screened: dict[Recipe, Trial], recipes: list[Recipe]) -> list[Trial]:
    return [screened[recipe] for recipe in recipes if recipe in screened]


_ON_FACTORS = ("blend", "ridge", "spectral")


def _score(trial: Trial) -> float:
    return trial.score
