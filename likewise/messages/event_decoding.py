"""From a record of the likes topic to an event. Any bytes give an event or an `InvalidInputError`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec

from likewise.errors import InvalidInputError
from likewise.messages.cloud_events import action_of, binary_mode_type, checked_type, data_of
from likewise.messages.events import Event, Like, Unlike, event_subject, make_event
from likewise.messages.foreign_forms import about_key, explained
from likewise.messages.ids import MAX_ID_BYTES, ItemId, UserId
from likewise.messages.json_input import decode_json
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
    action: Literal["like", "unlike", None] = None
    timestamp: int | float | str | None = None
    version: Literal[1, None] = None
    specversion: None = None


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


_usual_decoder = msgspec.json.Decoder(_UsualBody)
_decoder = msgspec.json.Decoder(_Body)
_encoder = msgspec.json.Encoder()


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
) -> Like | Unlike | None:
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
    if body.timestamp is not None and on_unclear_time is not None:
        _check_time(body.timestamp, on_unclear_time)
    if body.action == "unlike":
        return Unlike(body.user_id, body.item_id)
    return Like(body.user_id, body.item_id)


def decode_any_form(
    record: Record, on_unclear_time: Callable[[object], None] | None = None
) -> Event:
    """Return what `decode_event` returns, without trying the usual form first."""
    try:
        return _decode_any_form(record, on_unclear_time)
    except InvalidInputError as reason:
        raise explained(reason, record) from reason


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
    event = make_event(body.action or action_of(kind), body.user_id, body.item_id)
    _check_key(record.key, event)
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


def _check_key(key: bytes | None, event: Event) -> None:
    """Refuse a key of another user: the event would not be in order with the events of its user."""
    subject = event_subject(event)
    if key is None or key == subject.encode():
        return
    if key != _encoder.encode(subject):  # JSON serialisers quote keys
        shown = about_key(key, subject) or repr(key[:64].decode(errors="replace"))
        raise InvalidInputError(
            "key_mismatch", f"the record's key is {shown}, not {subject[:64]!r}"
        )
