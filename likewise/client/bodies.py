"""What a client sends, checked as the services check it, whichever way it is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from likewise.client.ids import checked_id, checked_item_ids
from likewise.client.options import Options, fields_of
from likewise.errors import InvalidInputError
from likewise.messages.events import Signal, Unsignal, encode_event
from likewise.messages.ids import (
    DISLIKE,
    HIDE,
    parse_kind,
    parse_recommendation_id,
    parse_scenario_name,
)
from likewise.messages.items import parse_item
from likewise.messages.replies import Recommendations
from likewise.messages.reply_routes import MAX_REQUEST_BYTES
from likewise.messages.request_decoding import parse_request
from likewise.messages.request_options import MAX_DEADLINE_MS
from likewise.messages.requests import encode_request
from likewise.messages.scenarios import Scenario, parse_defaults

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from likewise.client.ids import Id
    from likewise.messages.events import Event
    from likewise.messages.items import CatalogueItem
    from likewise.messages.positions import Position
    from likewise.messages.requests import Request


def event_body(event: Event, recommendation_id: str | None = None) -> bytes:
    """Return the JSON body of an event.

    Raises:
        InvalidInputError: a consumer would reject the event.
    """
    for field, raw in msgspec.structs.asdict(event).items():
        checked_id(field, raw)
    if isinstance(event, Signal | Unsignal) and event.kind not in {DISLIKE, HIDE}:
        parse_kind(event.kind)
    if recommendation_id is not None:
        parse_recommendation_id(recommendation_id)
    return encode_event(event, recommendation_id=recommendation_id)


def checked_item(fields: Mapping[str, Any]) -> CatalogueItem:
    """Return the catalogue item with these fields.

    Raises:
        InvalidInputError: a consumer would reject the item.
    """
    checked_id("item_id", fields.get("item_id"))
    return parse_item(fields)


def checked_scenario(name: str, defaults: Options) -> Scenario:
    """Return the scenario; an option that is None is not set.

    Raises:
        InvalidInputError: a consumer would reject the scenario.
    """
    given = {name: value for name, value in fields_of(defaults).items() if value is not None}
    return Scenario(parse_scenario_name(name, "name"), parse_defaults(given))


def checked_request(
    subject: Mapping[str, Id | Iterable[Id] | None],
    options: Options,
    *,
    after: Position | None = None,
    next_of: str | Recommendations | None = None,
    scenario: str | None = None,
) -> Request:
    """Return the request about a subject, given by the names of its fields; None is not given.

    Raises:
        InvalidInputError: a server would reject the request.
        TypeError: there is no option of this name.
    """
    checked = {name: _checked(name, ids) for name, ids in subject.items() if ids is not None}
    page = next_of.recommendation_id if isinstance(next_of, Recommendations) else next_of
    context = {"after": None if after is None else str(after), "next_of": page}
    return parse_request({**checked, **fields_of(options), **context, "scenario": scenario})


def request_body(request: Request, limit_s: float) -> bytes:
    """Return the JSON body of a request; its deadline is `limit_s` unless it has one.

    Raises:
        InvalidInputError: the body is longer than a server accepts.
    """
    if request.deadline_ms is None:
        default_ms = min(max(1, int(limit_s * 1000)), MAX_DEADLINE_MS)
        request = msgspec.structs.replace(request, deadline_ms=default_ms)
    value = encode_request(request)
    if len(value) > MAX_REQUEST_BYTES:
        raise InvalidInputError(
            "too_large", f"the request is longer than {MAX_REQUEST_BYTES} bytes"
        )
    return value


def _checked(name: str, ids: Id | Iterable[Id]) -> str | list[str]:
    return checked_item_ids(name, ids) if name == "liked" else checked_id(name, ids)  # type: ignore[arg-type] # checked there
