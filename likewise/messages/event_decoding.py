"""From a record of the likes topic to an event. Any bytes give an event or an `InvalidInputError`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec

from likewise.errors import InvalidInputError
from likewise.messages.cloud_events import action_of, binary_mode_type, checked_type, data_of
from likewise.messages.events import (
    Event,
    Like,
    Signal,
    Unlike,
    Unsignal,
    event_subject,
    make_event,
)
from likewise.messages.foreign_forms import explained
from likewise.messages.ids import (
    MAX_ID_BYTES,
    ItemId,
    SignalKind,
    UserId,
    is_recommendation_id,
    is_signal_kind,
    parse_recommendation_id,
)
from likewise.messages.json_input import decode_json
from likewise.messages.record_keys import check_key
from likewise.messages.times import parse_time_ms

if TYPE_CHECKING:
    from collections.abc import Callable

    from likewise.records import Record

MAX_EVENT_BYTES = 64 * 1024
PROTOCOL_VERSION: Final = 1

# The longest id if each of its characters takes four bytes, the maximum of UTF-8.
_SurelyShort = msgspec.Meta(min_length=1, max_length=MAX_ID_BYTES // 4)


class _UsualBody(msgspec.Struct):
    """The usual form of an event. `_Body` is for all other forms, and for error messages."""

    user_id: Annotated[UserId, _SurelyShort]
    item_id: Annotated[ItemId, _SurelyShort]
    action: Literal["like", "unlike", "signal", "unsignal", None] = None
    timestamp: int | float | str | None = None
    version: Literal[1, None] = None
    specversion: None = None
    kind: str | None = None
    recommendation_id: str | None = None


class _Body(msgspec.Struct):
    """Any form of an event. Unknown fields are ignored, and null means not given."""

    user_id: str | int | None = None
    item_id: str | int | None = None
    action: str | None = None
    timestamp: Any = None
    version: int | None = None
    specversion: str | None = None
    type: Any = None
    data: msgspec.Raw = msgspec.Raw()
    data_base64: Any = None
    kind: Any = None  # checked for the actions that use it, and ignored for others
    into: Any = None
    recommendation_id: str | None = None


_usual_decoder = msgspec.json.Decoder(_UsualBody)
_decoder = msgspec.json.Decoder(_Body)


def decode_event(
    record: Record, *, on_unclear_time: Callable[[object], None] | None = None
) -> Event:
    """Return the event that a record of the likes topic carries.

    A `timestamp` that can't be parsed is ignored; `on_unclear_time` is called with it.

    CloudEvents 1.0 are accepted in structured mode (the body is an envelope) and in binary mode
    (`ce_…` headers). If their data has no `action`, it is the last word of `type` that is not a version.

    Raises:
        InvalidInputError: the record breaks the wire contract. Nothing else is ever raised.
    """
    return _decode_usual_form(record, on_unclear_time) or decode_any_form(record, on_unclear_time)


def _decode_usual_form(
    record: Record, on_unclear_time: Callable[[object], None] | None = None
) -> Like | Unlike | Signal | Unsignal | None:
    """Return what `decode_any_form` returns, in half the time; None if the form is not the usual one.

    The JSON decoder checks all types and lengths of such a body.
    """
    raw = record.value
    if raw is None or len(raw) > MAX_EVENT_BYTES or record.headers:
        return None
    try:
        body = _usual_decoder.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if record.key is not None and record.key != body.user_id.encode():
        return None
    if body.recommendation_id is not None and not is_recommendation_id(body.recommendation_id):
        return None
    action = body.action
    event: Like | Unlike | Signal | Unsignal
    if action is None or action == "like":
        event = Like(body.user_id, body.item_id)
    elif action == "unlike":
        event = Unlike(body.user_id, body.item_id)
    elif body.kind is None or not is_signal_kind(body.kind):
        return None
    else:
        made = Signal if action == "signal" else Unsignal
        event = made(body.user_id, body.item_id, SignalKind(body.kind))
    if body.timestamp is not None and on_unclear_time is not None:
        _check_time(body.timestamp, on_unclear_time)
    return event


def decode_any_form(
    record: Record, on_unclear_time: Callable[[object], None] | None = None
) -> Event:
    """Return what `decode_event` returns, without trying the usual form first."""
    try:
        return _decode_any_form(record, on_unclear_time)
    except InvalidInputError as reason:
        raise explained(reason, record) from reason


def recommendation_id_of(record: Record) -> str | None:
    """Return the recommendation that the event of this record names; None if it names none.

    Raises:
        InvalidInputError: `decode_event` raises it, too.
    """
    body = _decode_body(record.value)
    if body.specversion is not None:
        body = _decode_body(data_of(body))
    return body.recommendation_id


def _decode_any_form(record: Record, on_unclear_time: Callable[[object], None] | None) -> Event:
    body = _decode_body(record.value)
    kind = binary_mode_type(record)
    if body.specversion is not None:
        kind = checked_type(body.specversion, body.type)
        body = _decode_body(data_of(body))
    if body.version not in {PROTOCOL_VERSION, None}:
        raise InvalidInputError(
            "unsupported_version", f"version {body.version} is not {PROTOCOL_VERSION}"
        )
    action = body.action or action_of(kind)
    event = make_event(action, body.user_id, body.item_id, kind=body.kind, into=body.into)
    if body.recommendation_id is not None:
        parse_recommendation_id(body.recommendation_id)
    check_key(record.key, event_subject(event))
    if body.timestamp is not None and on_unclear_time is not None:
        _check_time(body.timestamp, on_unclear_time)
    return event


def _check_time(timestamp: object, on_unclear_time: Callable[[object], None]) -> None:
    try:
        parse_time_ms(timestamp)
    except InvalidInputError:
        on_unclear_time(timestamp)


def _decode_body(raw: bytes | None) -> _Body:
    return decode_json(_decoder, raw, what="event", max_bytes=MAX_EVENT_BYTES)
