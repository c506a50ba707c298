"""Experiments as operators handle them: what they have found, and what to publish to start, stop or remove one.

Nothing is published here. Callers send what they get, as `encode_experiment` encodes it, to the topic
`experiments` under the experiment's name; to remove one, they send a record without a value.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from likewise.errors import InvalidInputError, LikewiseError
from likewise.experiments.assignment import in_order
from likewise.messages.experiments import Outcome, decode_stored_experiment
from likewise.messages.times import iso_time
from likewise.operations.experiment_definitions import define, notes_on
from likewise.operations.experiment_reports import ExperimentReport, report_on

if TYPE_CHECKING:
    from collections.abc import Mapping

    from likewise.messages.experiments import Decision, Experiment
    from likewise.settings import Settings
    from likewise.store.port import LikeStore


class UnknownExperimentError(LikewiseError):
    """There is no experiment of this name."""


class ExperimentStateError(LikewiseError):
    """The experiment runs, or has stopped, and so this cannot be done with it."""


class Start(NamedTuple):
    """The experiment to publish, and what its operator should know, in sentences."""

    experiment: Experiment
    notes: list[str]


def list_experiments(store: LikeStore) -> list[Experiment]:
    """Return those that run, in the order in which they take requests, then the others, last stopped first.

    Stored experiments that cannot be read are left out; servers log them.

    Raises:
        TransientError: Redis cannot be reached.
    """
    found = []
    for raw in store.experiments().values():
        with suppress(InvalidInputError):
            found.append(decode_stored_experiment(raw))
    stopped = [one for one in found if one.stopped_at_ms is not None]
    return [
        *in_order(found),
        *sorted(stopped, key=lambda one: (-(one.stopped_at_ms or 0), one.name)),
    ]


def find_experiment(store: LikeStore, name: str) -> Experiment:
    """Return the experiment of this name.

    Raises:
        UnknownExperimentError: there is none; the message lists those that there are.
        TransientError: Redis cannot be reached.
    """
    known = list_experiments(store)
    for one in known:
        if one.name == name:
            return one
    others = ", ".join(one.name for one in known) or "none"
    raise UnknownExperimentError(f"there is no experiment {name[:64]!r}; there are: {others}")


def report_of(store: LikeStore, name: str) -> ExperimentReport:
    """Return all about the experiment of this name.

    Raises:
        UnknownExperimentError: there is none.
        TransientError: Redis cannot be reached.
    """
    return report_on(store, find_experiment(store, name))


def start(
    store: LikeStore, settings: Settings, name: str, body: Mapping[str, Any], *, now_ms: int
) -> Start:
    """Return the experiment that starts now; `body` is its JSON object, whose obvious fields may be missing.

    See `define` for these. A stopped experiment of this name is replaced; counts start from zero.

    Raises:
        ExperimentStateError: an experiment of this name runs.
        InvalidInputError: the body breaks the wire contract, or names a ranker that nobody builds.
        ModelFileError: a variant's model is not on this disk.
        TransientError: Redis cannot be reached.
    """
    experiment = define(store, settings, name, body, now_ms=now_ms)
    known = list_experiments(store)
    notes = notes_on(experiment, in_order(known), store, settings)
    for one in known:
        if one.name == experiment.name:
            if one.stopped_at_ms is None:
                raise ExperimentStateError(f"an experiment {name!r} runs already; stop it first")
            notes.append(f"this replaces the experiment {name!r} that has stopped, and its verdict")
    return Start(experiment, notes)


def stop(store: LikeStore, name: str, *, now_ms: int, reason: str = "") -> Experiment:
    """Return the experiment as it is once it is stopped, with the verdict of this moment.

    Raises:
        UnknownExperimentError: there is none of this name.
        ExperimentStateError: it has stopped already.
        TransientError: Redis cannot be reached.
    """
    found = find_experiment(store, name)
    if found.stopped_at_ms is not None:
        raise ExperimentStateError(
            f"the experiment {name!r} was stopped at {iso_time(found.stopped_at_ms)}"
        )
    verdict = report_on(store, found).verdict
    return stopped(found, "stopped", now_ms=now_ms, reason=reason, verdict=verdict)


def stopped(
    experiment: Experiment,
    decision: Decision,
    *,
    now_ms: int,
    reason: str,
    verdict: dict[str, Any] | None,
) -> Experiment:
    """Return the experiment as it is once it is stopped by this decision."""
    return msgspec.structs.replace(
        experiment,
        stopped_at_ms=max(now_ms, experiment.started_at_ms),
        outcome=Outcome(decision=decision, reason=reason, verdict=verdict),
    )


def remove(store: LikeStore, name: str) -> None:
    """Return if the experiment can be removed.

    Raises:
        UnknownExperimentError: there is none of this name.
        ExperimentStateError: it runs.
        TransientError: Redis cannot be reached.
    """
    if find_experiment(store, name).stopped_at_ms is None:
        raise ExperimentStateError(f"the experiment {name!r} runs; stop it first")
