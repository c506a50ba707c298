"""What experiments have found so far: their counts, and the verdict on these."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from likewise.experiments.tally import ExperimentTally
from likewise.experiments.verdict import Verdict, verdict_json, verdict_of
from likewise.messages.experiments import Kind, experiment_json
from likewise.operations.tallies import tally_of

if TYPE_CHECKING:
    from likewise.messages.experiments import Experiment
    from likewise.store.port import LikeStore

State = Literal["running", "stopped", "promoted", "rolled_back"]


class ExperimentReport(msgspec.Struct, frozen=True):
    """All about one experiment."""

    experiment: dict[str, Any]
    """Its definition, as in the topic."""
    tally: ExperimentTally
    verdict: dict[str, Any]
    """The verdict on the counts so far, or that on which the experiment ended; see
    `likewise.experiments.verdict.Verdict`. Likes after the end still count: they change the tally only."""


class ExperimentSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One experiment on a line."""

    name: str
    state: State
    kind: Kind
    canary: bool
    started_at_ms: int
    lists: int
    """Lists shown so far; an interleaved list counts once. Of a prequential canary, the sampled likes."""
    likes: int
    """Likes of the lists' items so far; of a prequential canary, likes that a model had predicted, by each."""
    sentence: str
    """The verdict in words."""


def state_of(experiment: Experiment) -> State:
    """Return whether the experiment runs, or how it ended."""
    if experiment.stopped_at_ms is None:
        return "running"
    return "stopped" if experiment.outcome is None else experiment.outcome.decision


def report_on(store: LikeStore, experiment: Experiment) -> ExperimentReport:
    """Return the experiment with what the store has counted for it.

    Raises:
        TransientError: Redis cannot be reached.
    """
    tally = tally_of(store, experiment)
    verdict = _verdict_at_the_end(experiment) or verdict_of(experiment, tally)
    return ExperimentReport(experiment_json(experiment), tally, verdict_json(verdict))


def _verdict_at_the_end(experiment: Experiment) -> Verdict | None:
    """Return the verdict with which the experiment ended; None if it runs, or has none that can be read."""
    if experiment.outcome is None or experiment.outcome.verdict is None:
        return None
    try:
        return msgspec.convert(experiment.outcome.verdict, Verdict)
    except msgspec.ValidationError:  # of another version
        return None


def summary_of(experiment: Experiment, report: ExperimentReport) -> ExperimentSummary:
    """Return the report on a line."""
    variants = report.tally.variants.values()
    lists = [variant.lists for variant in variants]
    return ExperimentSummary(
        name=experiment.name,
        state=state_of(experiment),
        kind=experiment.kind,
        canary=experiment.canary,
        started_at_ms=experiment.started_at_ms,
        lists=sum(lists) if experiment.kind == "split" else max(lists),
        likes=sum(variant.likes for variant in variants),
        sentence=report.verdict["sentence"],
    )
