"""Scenarios: stored options of requests, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from gateway.answers import json_answer
from gateway.endpoint import Call, Endpoint
from gateway.endpoints.items import PublishedDocument
from gateway.endpoints.paging import Cursor, cursor_of, place_of
from gateway.openapi.wire import SCENARIO
from gateway.problem import Problem
from likewise.messages.ids import parse_scenario_name
from likewise.messages.scenarios import (
    MAX_SCENARIO_BYTES,
    Scenario,
    decode_scenario,
    encode_scenario,
)
from likewise.records import Unsent

if TYPE_CHECKING:
    from starlette.responses import Response


class ScenariosQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which scenarios to list."""

    limit: Annotated[int, Meta(ge=1, le=1_000)] = 100
    cursor: Cursor | None = None
    """The `cursor` of the page before."""


class NamedScenario(msgspec.Struct, frozen=True):
    """A scenario: its name, and the defaults of its requests."""

    name: str
    defaults: dict[str, Any]


class ScenarioPage(msgspec.Struct, frozen=True):
    """A page of scenarios, by name."""

    scenarios: list[NamedScenario]
    cursor: str | None
    """For the next page; null on the last one."""


async def _list(call: Call) -> Response:
    query: ScenariosQuery = call.query
    after = place_of(query.cursor, str) or ""
    stored = await call.gateway.run(call.gateway.store.scenarios)
    names = sorted(name for name in stored if name > after)
    page = names[: query.limit]
    found = [_scenario(stored[name]) for name in page]
    more = len(names) > len(page)
    return json_answer(ScenarioPage(found, cursor_of(page[-1]) if more else None))


async def _show(call: Call) -> Response:
    name = _name(call)
    stored = await call.gateway.run(call.gateway.store.scenarios)
    if name not in stored:
        raise Problem("unknown_scenario", f"there is no scenario {name!r}")
    return json_answer(_scenario(stored[name]))


async def _put(call: Call) -> Response:
    name = _name(call)
    scenario = decode_scenario(Unsent(call.body, name.encode()))  # as the consumers will
    if not isinstance(scenario, Scenario) or scenario.name != name:
        raise Problem("key_mismatch", "`name` is not the name in the path", field="name")
    position = await call.gateway.events.put_scenario(name, encode_scenario(scenario))
    return json_answer(PublishedDocument(str(position)))


async def _delete(call: Call) -> Response:
    return json_answer(
        PublishedDocument(str(await call.gateway.events.put_scenario(_name(call), None)))
    )


def _name(call: Call) -> str:
    return parse_scenario_name(call.path["name"], "name")


def _scenario(stored: bytes) -> NamedScenario:
    return msgspec.json.decode(stored, type=NamedScenario)


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/v1/scenarios",
        handler=_list,
        summary="List the scenarios.",
        tag="operations",
        query=ScenariosQuery,
        answer=ScenarioPage,
        errors=("invalid_cursor",),
    ),
    Endpoint(
        method="GET",
        path="/v1/scenarios/{name}",
        handler=_show,
        summary="Show a scenario.",
        tag="operations",
        answer=NamedScenario,
        errors=("unknown_scenario", "invalid_scenario"),
    ),
    Endpoint(
        method="PUT",
        path="/v1/scenarios/{name}",
        handler=_put,
        summary="Store options of requests under a name.",
        description=(
            "`defaults` holds any option of a request except the user or item that it is about. A request "
            "that names the scenario overrides them one by one."
        ),
        tag="operations",
        role="admin",
        body=SCENARIO,
        raw_body=True,
        answer=PublishedDocument,
        max_body=MAX_SCENARIO_BYTES,
        errors=("invalid_scenario", "key_mismatch"),
    ),
    Endpoint(
        method="DELETE",
        path="/v1/scenarios/{name}",
        handler=_delete,
        summary="Remove a scenario. Requests that name it get an error from then on.",
        tag="operations",
        role="admin",
        answer=PublishedDocument,
        errors=("invalid_scenario",),
    ),
)
