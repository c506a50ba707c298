"""The main path: split the likes, build each contender, rank for its users, summarise."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from likewise.evaluation import contenders
from likewise.evaluation.likes.held_out import hold_out
from likewise.evaluation.likes.table import Split
from likewise.evaluation.metrics.lists import coverage, per_user
from likewise.evaluation.metrics.summaries import Measured, summarise
from likewise.evaluation.ranking import approximation, rank
from likewise.evaluation.trade_off import trade_off

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from typing import Any

    from numpy.typing import NDArray

    from indexer.progress import Progress
    from likewise.evaluation.contenders import Contender
    from likewise.evaluation.likes.held_out import HeldOut
    from likewise.evaluation.likes.splits import Division
    from likewise.evaluation.likes.table import LikeTable
    from likewise.evaluation.metrics.summaries import Summary
    from likewise.evaluation.ranking import Approximation
    from likewise.evaluation.trade_off import Traded
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


def evaluate(
    likes: LikeTable,
    division: Division,
    settings: ModelSettings,
    options: Options,
    progress: Progress,
) -> Evaluation:
    """Return the results of all contenders on the test likes, fitted on all other likes."""
    held_out = hold_out(likes, division.splits, fit=(Split.TRAIN, Split.VALID), wanted=Split.TEST)
    everybody = np.arange(len(held_out.user_rows))
    for_everybody = {ORIGINAL, *options.extra}
    sample = _sample(len(everybody), options)
    liked = held_out.liked()
    served = contenders.serving(held_out.fit, settings, progress)
    measure = _Measure(held_out, liked, sample, options.k, progress)
    measured = [measure(served, everybody)]
    progress.step("approximate against exact")
    cost = approximation(served.model, liked, k=options.k, seed=options.seed, progress=progress)
    traded = trade_off(served.model, held_out, sample, k=options.k, progress=progress)
    for contender in _others(held_out, served, options, progress):
        users = everybody if contender.name in for_everybody else sample
        measured.append(measure(contender, users))
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
    )


def _others(
    held_out: HeldOut, served: Contender, options: Options, progress: Progress
) -> Iterator[Contender]:
    bench = contenders.Bench(held_out.fit, seed=options.seed, progress=progress, known=served.model)
    for name, recipe in options.extra.items():
        yield bench.build(name, recipe)
    del bench
    yield from contenders.others(
        held_out.fit, served, options.rankers, seed=options.seed, progress=progress
    )


@dataclass(frozen=True, slots=True)
class _Measure:
    """Ranks and measures every contender in the same way."""

    held_out: HeldOut
    liked: list[NDArray[np.intp]]
    sample: NDArray[np.intp]
    k: int
    progress: Progress

    def __call__(self, contender: Contender, users: NDArray[np.intp]) -> Measured:
        self.progress.step(f"{contender.name}: ranking")
        lists = rank(
            contender.model,
            [self.liked[user] for user in users],
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
