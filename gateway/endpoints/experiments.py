"""Experiments: which there are, what they have found, and starting and stopping one."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta

from gateway.answers import json_answer
from gateway.endpoint import Call, Endpoint
from gateway.endpoints.items import PublishedDocument
from gateway.endpoints.paging import Cursor, Int64, cursor_of, place_of
from gateway.openapi.wire import EXPERIMENT, NEW_EXPERIMENT
from gateway.problem import Problem
from likewise.errors import ModelFileError
from likewise.experiments.tally import ExperimentTally
from likewise.messages.experiments import (
    MAX_EXPERIMENT_BYTES,
    Experiment,
    encode_experiment,
    experiment_json,
)
from likewise.messages.ids import parse_experiment_name
from likewise.operations import experiments
from likewise.operations.experiments import ExperimentStateError, UnknownExperimentError
from likewise.service.clock import now_ms

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.responses import Response

    from likewise.messages.positions import Position


class ExperimentsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which experiments to list."""

    state: Literal["running", "ended"] | None = None
    """Only those that run, or that have ended."""
    limit: Annotated[int, Meta(ge=1, le=1_000)] = 100
    cursor: Cursor | None = None
    """The `cursor` of the page before."""


class ExperimentPage(msgspec.Struct, frozen=True):
    """A page of experiments."""

    experiments: list[EXPERIMENT]
    cursor: str | None
    """For the next page; null on the last one."""


class ShownExperiment(msgspec.Struct, frozen=True):
    """An experiment, what was counted for it, and what follows from that."""

    experiment: EXPERIMENT
    tally: ExperimentTally
    verdict: dict[str, Any]
    """The comparisons with the control, the guardrails, and a sentence: as `likewise experiments show --json` has it."""


class StartedExperiment(msgspec.Struct, frozen=True):
    """The experiment that starts once servers have read it, within a second."""

    position: str
    """The position of the record in its topic."""
    experiment: EXPERIMENT
    notes: list[str]
    """What its operator should know, such as another experiment with the same users."""


class StopQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Why the experiment is stopped."""

    reason: Annotated[str, Meta(max_length=1_000)] = ""
    """It is kept with the outcome."""


async def _list(call: Call) -> Response:
    query: ExperimentsQuery = call.query
    after = place_of(query.cursor, tuple[Int64, Int64, Int64, str])
    known = await call.gateway.run(experiments.list_experiments, call.gateway.store)
    found = [
        one
        for one in sorted(known, key=_place)
        if query.state in (None, _state(one)) and (after is None or _place(one) > after)
    ]
    page = found[: query.limit]
    cursor = cursor_of(_place(page[-1])) if len(found) > len(page) else None
    return json_answer(ExperimentPage([experiment_json(one) for one in page], cursor))


async def _show(call: Call) -> Response:
    with _problems():
        found = await call.gateway.run(experiments.report_of, call.gateway.store, _name(call))
    return json_answer(ShownExperiment(found.experiment, found.tally, found.verdict))


async def _start(call: Call) -> Response:
    gateway, name = call.gateway, _name(call)
    if not isinstance(call.body, dict):
        raise Problem("wrong_type", "the body is not a JSON object")
    with _problems():
        started = await gateway.run(
            experiments.start, gateway.store, gateway.settings, name, call.body, now_ms=now_ms()
        )
    position = await _published(call, started.experiment)
    return json_answer(
        StartedExperiment(str(position), experiment_json(started.experiment), started.notes)
    )


async def _stop(call: Call) -> Response:
    with _problems():
        stopped = await call.gateway.run(
            experiments.stop,
            call.gateway.store,
            _name(call),
            now_ms=now_ms(),
            reason=call.query.reason,
        )
    return json_answer(PublishedDocument(str(await _published(call, stopped))))


async def _delete(call: Call) -> Response:
    name = _name(call)
    with _problems():
        await call.gateway.run(experiments.remove, call.gateway.store, name)
    topic = call.gateway.topics.experiments
    position = await call.gateway.events.publish_record(topic, None, name.encode())
    return json_answer(PublishedDocument(str(position)))


async def _published(call: Call, experiment: Experiment) -> Position:
    return await call.gateway.events.publish_record(
        call.gateway.topics.experiments, encode_experiment(experiment), experiment.name.encode()
    )


@contextmanager
def _problems() -> Iterator[None]:
    """Raise what the operations refuse as problems."""
    try:
        yield
    except UnknownExperimentError as error:
        raise Problem("unknown_experiment", str(error)) from error
    except ExperimentStateError as error:
        raise Problem("experiment_state", str(error), field="name") from error
    except ModelFileError as error:
        detail = "the `model` of a variant is not a version on the gateway's disk"
        raise Problem("unknown_version", detail, field="variants.model") from error


def _place(one: Experiment) -> tuple[int, int, int, str]:
    """Return the place in the list: those that run as they take requests, then the last stopped."""
    if one.stopped_at_ms is None:
        return 0, int(one.scenario is None), one.started_at_ms, one.name
    return 1, 0, -one.stopped_at_ms, one.name


def _state(one: Experiment) -> str:
    return "running" if one.stopped_at_ms is None else "ended"


def _name(call: Call) -> str:
    return parse_experiment_name(call.path["name"], "name")


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/v1/experiments",
        handler=_list,
        summary="List the experiments: those that run, then the last stopped.",
        tag="experiments",
        query=ExperimentsQuery,
        answer=ExperimentPage,
        errors=("invalid_cursor",),
    ),
    Endpoint(
        method="GET",
        path="/v1/experiments/{name}",
        handler=_show,
        summary="Show an experiment: what was counted, and the verdict.",
        description=(
            "The verdict may be looked at as often as one likes: its intervals hold for all looks together. "
            "`likewise experiments verify` computes the same from the topics."
        ),
        tag="experiments",
        answer=ShownExperiment,
        errors=("unknown_experiment", "invalid_experiment"),
    ),
    Endpoint(
        method="PUT",
        path="/v1/experiments/{name}",
        handler=_start,
        summary="Start an experiment.",
        description=(
            "The first variant is the control. With only one variant, a control that changes nothing is put "
            "before it. An experiment of this name that has stopped is replaced, and the counts start from zero."
        ),
        tag="experiments",
        role="admin",
        body=NEW_EXPERIMENT,
        answer=StartedExperiment,
        max_body=MAX_EXPERIMENT_BYTES,
        errors=("invalid_experiment", "experiment_state", "unknown_version", "invalid_scenario"),
    ),
    Endpoint(
        method="POST",
        path="/v1/experiments/{name}/stop",
        handler=_stop,
        summary="Stop an experiment.",
        description=(
            "Its users get what everybody gets, within a second. Likes of lists that were shown before still "
            "count while their window is open."
        ),
        tag="experiments",
        role="admin",
        query=StopQuery,
        answer=PublishedDocument,
        errors=("unknown_experiment", "experiment_state", "invalid_experiment"),
    ),
    Endpoint(
        method="DELETE",
        path="/v1/experiments/{name}",
        handler=_delete,
        summary="Remove a stopped experiment and what was counted for it.",
        tag="experiments",
        role="admin",
        answer=PublishedDocument,
        errors=("unknown_experiment", "experiment_state", "invalid_experiment"),
    ),
)
