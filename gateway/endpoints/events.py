"""Many events in one call: an array, one object, or lines of JSON.

All events are checked before the first is published. So a call with an invalid event publishes nothing, and its
answer names every invalid one.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from gateway.answers import POSITION_HEADER, json_answer
from gateway.endpoint import JSON, Call, Endpoint
from gateway.openapi.wire import EVENTS
from gateway.problem import Problem, field_in, problem_of
from likewise.errors import InvalidInputError, LikewiseError
from likewise.messages.event_decoding import decode_event
from likewise.messages.events import check_kind, event_key
from likewise.records import Unsent

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Sequence

    from starlette.responses import Response

    from likewise.messages.positions import Position

NDJSON = "application/x-ndjson"
_CLOUD_EVENT = "application/cloudevents+json"
_CLOUD_EVENTS = "application/cloudevents-batch+json"
MAX_BODY = 8 * 1024 * 1024
MAX_EVENTS = 50_000
_MOST_NAMED = 100
_AT_ONCE = 1_000
# Larger bodies are checked in a thread, so that other requests are answered meanwhile.
_SMALL_BODY = 16 * 1024


class PublishedEvents(msgspec.Struct, frozen=True):
    """Where Kafka has the events."""

    published: int
    """How many were published: all of them."""
    positions: list[str]
    """The position of each, in their order."""


class _Encoded(NamedTuple):
    value: bytes
    key: bytes


async def _publish(call: Call) -> Response:
    lines = call.request.headers.get("content-type", "").lower().startswith(NDJSON)
    kinds = call.gateway.settings.signals.accepted
    if len(call.body) <= _SMALL_BODY:
        events = checked(call.body, kinds, lines=lines)
    else:
        events = await call.gateway.run(checked, call.body, kinds, lines=lines)
    positions: list[str] = []
    for start in range(0, len(events), _AT_ONCE):
        part = events[start : start + _AT_ONCE]
        sent = await asyncio.gather(
            *(call.gateway.events.publish_encoded(*event) for event in part), return_exceptions=True
        )
        positions += _confirmed(sent, before=positions)
    headers = {POSITION_HEADER: positions[-1]} if positions else None
    return json_answer(PublishedEvents(len(positions), positions), headers=headers)


def checked(body: bytes, kinds: Container[str], *, lines: bool = False) -> Sequence[_Encoded]:
    """Return the events of a body, each as it was sent, with its key.

    Raises:
        Problem: the body has another form, or some events are invalid; it names them all, up to a hundred.
    """
    events: list[_Encoded] = []
    errors: list[dict[str, object]] = []
    for index, value in enumerate(_values(body, lines=lines)):
        try:
            event = decode_event(Unsent(value))
            check_kind(event, kinds)
        except InvalidInputError as error:
            field = {} if (name := field_in(error.message)) is None else {"field": name}
            errors.append({"index": index, "code": error.code, "detail": error.message, **field})
        else:
            events.append(_Encoded(value, event_key(event)))
    if not errors:
        return events
    first = errors[0]
    raise Problem(
        str(first["code"]),
        f"event {first['index']}: {first['detail']}; no event was published",
        field=None if (named := first.get("field")) is None else str(named),
        index=first["index"],
        invalid=len(errors),
        errors=errors[:_MOST_NAMED],
        published=0,
    )


def _values(body: bytes, *, lines: bool) -> Iterable[bytes]:
    """Return the JSON of each event."""
    text = body.strip()
    if lines:
        values: list[bytes] = [line for line in text.split(b"\n") if line.strip()]
    elif text.startswith(b"["):
        values = [bytes(raw) for raw in _array(text)]
    else:
        values = [text]
    if len(values) > MAX_EVENTS:
        raise Problem("too_large", f"{len(values)} events; a call may have up to {MAX_EVENTS}")
    return values


def _array(text: bytes) -> list[msgspec.Raw]:
    try:
        return msgspec.json.decode(text, type=list[msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Problem("not_json", f"the body is not JSON: {error}") from None
    except RecursionError:
        raise Problem("too_deep", "the JSON is nested too deeply") from None


def _confirmed(sent: Iterable[Position | BaseException], before: Sequence[str]) -> list[str]:
    """Return the positions if Kafka has all of these events.

    Raises:
        Problem: it does not; its answer holds the position of each event that was published.
    """
    results = list(sent)
    failure = next((one for one in results if isinstance(one, BaseException)), None)
    if failure is None:
        return [str(one) for one in results]
    if not isinstance(failure, LikewiseError):
        raise failure
    problem = problem_of(failure)
    known = [None if isinstance(one, BaseException) else str(one) for one in results]
    raise Problem(
        problem.code,
        f"{problem.detail}; it is safe to publish all of them again",
        status=problem.status,
        published=len(before) + sum(one is not None for one in known),
        positions=[*before, *known],
    )


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/v1/events",
        handler=_publish,
        summary="Publish events.",
        description=(
            "One event, a JSON array of events, or one event a line as `application/x-ndjson`: each as on the "
            f"topic `likes`. Up to {MAX_EVENTS:,} events and 8 MiB. All are checked first: if one is invalid, "
            "none is published, and `errors` names the `index` of each that is. If Kafka fails meanwhile, "
            "`positions` of the problem holds null for each event that may be missing. Publishing all again is "
            "safe."
        ),
        tag="likes",
        role="write",
        body=EVENTS,
        raw_body=True,
        accepts=(JSON, NDJSON, _CLOUD_EVENT, _CLOUD_EVENTS),
        answer=PublishedEvents,
        max_body=MAX_BODY,
        weight=10,
        errors=(
            *("too_large", "missing_field", "invalid_id", "unknown_action", "unsupported_version"),
            *("invalid_kind", "unknown_kind", "invalid_merge", "invalid_recommendation_id"),
        ),
    ),
)
