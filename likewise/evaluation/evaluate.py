"""The main path: split the likes, build each contender, rank for its users, summarise."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from likewise.evaluation import contenders
from likewise.evaluation.kinds import effects_of_kinds
from likewise.evaluation.likes.held_out import hold_out
from likewise.evaluation.likes.table import Split
from likewise.evaluation.metrics.lists import coverage, per_user
from likewise.evaluation.metrics.summaries import Measured, summarise
from likewise.evaluation.ranking import approximation, rank
from likewise.evaluation.trade_off import trade_off

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from typing import Any

    from numpy.typing import NDArray

    from indexer.progress import Progress
    from likewise.evaluation.contenders import Contender
    from likewise.evaluation.kinds import KindEffect
    from likewise.evaluation.likes.held_out import HeldOut
    from likewise.evaluation.likes.splits import Division
    from likewise.evaluation.likes.table import LikeTable
    from likewise.evaluation.metrics.summaries import Summary
    from likewise.evaluation.ranking import Approximation
    from likewise.evaluation.trade_off import Traded
    from likewise.evaluation.tuning.search import Tuning
    from likewise.messages.ids import SignalKind
    from likewise.ranking.model import Model
    from likewise.ranking.queries import RowQuery
    from likewise.ranking.recipe import Recipe
    from likewise.settings import ModelSettings

SAMPLE = 5_000
"""The number of users for contenders other than the served, tuned and original ones."""
ORIGINAL = "neighbours"


@dataclass(frozen=True, slots=True)
class Options:
    """What to measure, and how."""

    k: int = 20
    rankers: Collection[str] = contenders.NAMES
    """Rankers in addition to the served model."""
    sample: int | None = SAMPLE
    """Users for the others; None: all."""
    seed: int = 0
    extra: dict[str, Recipe] = field(default_factory=dict)
    """More recipes to measure, by name, for all users."""
    weights: Mapping[SignalKind, float] = field(default_factory=dict)
    """The weights of the settings, by kind of signal."""
    extra_weights: Mapping[SignalKind, float] | None = None
    """The weights that the extra recipes are fitted with; None: the same."""

    def with_tuned(self, tuning: Tuning | None) -> Options:
        """Return the options to measure what a search found, too, as `tuned`."""
        if tuning is None:
            return self
        weights = None if tuning.weights is None else tuning.weights.weights
        extra = {**self.extra, "tuned": tuning.best.recipe}
        return replace(self, extra=extra, extra_weights=weights)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All results."""

    likes: LikeTable
    division: Division
    options: Options
    default: str
    """The name of the served model, which is built with the settings."""
    choice: dict[str, Any] | None
    """The recipes that `ranker=auto` tried, if it was used."""
    summaries: list[Summary]
    approximation: Approximation
    request_options: list[Traded]
    """The cost and effect of the request options diversity and novelty on the served model."""
    held_out_users: int
    kinds: list[KindEffect]
    """Whether each other kind of signal helps to predict the target."""
    recipe: Recipe
    """That of the served model."""


def evaluate(
    likes: LikeTable,
    division: Division,
    settings: ModelSettings,
    options: Options,
    progress: Progress,
) -> Evaluation:
    """Return the results of all contenders on the test likes, fitted on all other likes."""
    held_out = _hold_out(likes, division, options.weights)
    everybody = np.arange(len(held_out.user_rows))
    sample = _sample(len(everybody), options)
    queries = held_out.queries()
    served = contenders.serving(held_out.fit, settings, progress)
    measure = _Measure(held_out, queries, sample, options.k, progress)
    measured = [measure(served, everybody)]
    progress.step("approximate against exact")
    cost = approximation(served.model, queries, k=options.k, seed=options.seed, progress=progress)
    traded = trade_off(served.model, held_out, sample, k=options.k, progress=progress)
    measured += _measured_extra(likes, division, options, measure, served)
    for contender in contenders.others(
        held_out.fit, served, options.rankers, seed=options.seed, progress=progress
    ):
        users = everybody if contender.name in {ORIGINAL, *options.extra} else sample
        measured.append(measure(contender, users))
    kinds = effects_of_kinds(
        likes,
        division.splits,
        served.model.recipe,
        options.weights,
        sample,
        k=options.k,
        seed=options.seed,
        progress=progress,
    )
    progress.step("confidence intervals")
    return Evaluation(
        likes=likes,
        division=division,
        options=options,
        default=served.name,
        choice=served.choice,
        summaries=summarise(measured, held_out.activity, default=served.name, seed=options.seed),
        approximation=cost,
        request_options=traded,
        held_out_users=len(everybody),
        kinds=kinds,
        recipe=served.model.recipe,
    )


def _hold_out(likes: LikeTable, division: Division, weights: Mapping[SignalKind, float]) -> HeldOut:
    fit = (Split.TRAIN, Split.VALID)
    return hold_out(likes, division.splits, fit=fit, wanted=Split.TEST, weights=weights)


def _measured_extra(
    likes: LikeTable,
    division: Division,
    options: Options,
    measure: _Measure,
    served: Contender,
) -> Iterator[Measured]:
    """Yield the results of the extra recipes for all users, fitted with their own weights."""
    known: Model | None = served.model
    if options.extra_weights is not None:
        held_out = _hold_out(likes, division, options.extra_weights)
        measure = replace(measure, held_out=held_out, queries=held_out.queries())
        known = None
    fit, users = measure.held_out.fit, np.arange(len(measure.queries))
    bench = contenders.Bench(fit, seed=options.seed, progress=measure.progress, known=known)
    for name, recipe in options.extra.items():
        yield measure(bench.build(name, recipe), users)


@dataclass(frozen=True, slots=True)
class _Measure:
    """Ranks and measures every contender in the same way."""

    held_out: HeldOut
    queries: list[RowQuery]
    sample: NDArray[np.intp]
    k: int
    progress: Progress

    def __call__(self, contender: Contender, users: NDArray[np.intp]) -> Measured:
        self.progress.step(f"{contender.name}: ranking")
        lists = rank(
            contender.model,
            [self.queries[user] for user in users],
            k=self.k,
            progress=self.progress,
            blind=contender.blind,
        )
        # More lists cover more items, so only the same number of them can be compared.
        compared = lists.top[np.isin(users, self.sample)]
        return Measured(
            name=contender.name,
            recipe=None if contender.blind else contender.model.recipe,
            users=users,
            values=per_user(lists.top, self.held_out, users),
            coverage=coverage(compared, len(self.held_out.fit.item_ids)),
            build_s=contender.build_s,
            ms_per_query=lists.ms_per_query,
        )


def _sample(n_users: int, options: Options) -> NDArray[np.intp]:
    if options.sample is None or options.sample >= n_users:
        return np.arange(n_users)
    drawn = np.random.default_rng(options.seed).permutation(n_users)
    return np.sort(drawn[: options.sample])
