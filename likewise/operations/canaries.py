"""Canaries as operators see them: the versions that were tried, and the evidence for what became of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from likewise.experiments.comparison import relative_effect
from likewise.experiments.verdict import verdict_json, verdict_of
from likewise.messages.experiments import Kind
from likewise.models.canaries import CANARY, is_running
from likewise.operations.tallies import tally_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from likewise.messages.experiments import Experiment
    from likewise.store.port import LikeStore

State = Literal["running", "promoted", "rolled_back", "stopped"]


class CanaryRow(msgspec.Struct, frozen=True, kw_only=True):
    """How a model version was tried on a share of the users."""

    state: State
    kind: Kind
    """How it was tried: on some users (`split`), in lists that both models share (`interleaved`), or by
    predicting likes, without answering anybody (`prequential`)."""
    experiment: str
    """Its name, for `likewise experiments show`."""
    share: float
    """The share of the users whose lists the version ranks, or takes part in if they are interleaved; 0 if
    it answers nobody."""
    started_at_ms: int
    ended_at_ms: int | None = None
    reason: str = ""
    """Why it was promoted, rolled back or stopped."""
    effect: float | None = None
    """How its likes, or those that it predicted, differ from those of the current model, relative to these; while
    it runs, the estimate so far. None if it is unknown."""
    low: float | None = None
    """The lower bound of the interval of `effect`."""
    high: float | None = None
    """The upper bound."""


def canary_row(experiment: Experiment, store: LikeStore | None = None) -> CanaryRow:
    """Return what the experiment has found; of one that runs, what the store has counted so far.

    Raises:
        TransientError: it runs, and Redis cannot be reached.
    """
    outcome = experiment.outcome
    verdict = None if outcome is None else outcome.verdict
    state: State = "stopped" if outcome is None else outcome.decision
    if is_running(experiment):
        state = "running"
        verdict = None if store is None else _verdict_so_far(store, experiment)
    compared = _comparison(verdict)
    return CanaryRow(
        state=state,
        kind=experiment.kind,
        experiment=experiment.name,
        share=share_of(experiment),
        started_at_ms=experiment.started_at_ms,
        ended_at_ms=experiment.stopped_at_ms,
        reason="" if outcome is None else outcome.reason,
        effect=relative_effect(experiment, compared.get("effect")),
        low=relative_effect(experiment, compared.get("low")),
        high=relative_effect(experiment, compared.get("high")),
    )


def share_of(experiment: Experiment) -> float:
    """Return the share of the users who see lists of the new model, in whole or in part."""
    if experiment.kind == "prequential":
        return 0.0
    if experiment.kind == "interleaved":
        return experiment.share
    shares = {variant.name: variant.share for variant in experiment.variants}
    return experiment.share * shares.get(CANARY, 0.0) / sum(shares.values())


def _verdict_so_far(store: LikeStore, experiment: Experiment) -> dict[str, Any]:
    return verdict_json(verdict_of(experiment, tally_of(store, experiment)))


def _comparison(verdict: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return the comparison of the new model with the current one; empty without one."""
    comparisons = [] if verdict is None else verdict.get("comparisons", [])
    return next((found for found in comparisons if found.get("variant") == CANARY), {})
