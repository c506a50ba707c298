"""Events: what an app publishes to the likes topic, and how the bytes are read.

The body is a JSON object; see docs/protocol.md. Decoding is total: any bytes give either an
event or an `InvalidInputError`.
"""

from __future__ import annotations

import base64
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec

from likewise.errors import InvalidInputError
from likewise.messages.foreign_forms import about_key, explained
from likewise.messages.ids import MAX_ID_BYTES, ItemId, UserId, parse_item_id, parse_user_id
from likewise.messages.json_input import decode_json
from likewise.messages.times import parse_time_ms, wire_time

if TYPE_CHECKING:
    from collections.abc import Callable

    from likewise.records import Record

MAX_EVENT_BYTES = 64 * 1024
PROTOCOL_VERSION: Final = 1


class Like(msgspec.Struct, frozen=True, gc=False):
    """The user likes the item."""

    user_id: UserId
    item_id: ItemId


class Unlike(msgspec.Struct, frozen=True, gc=False):
    """The user no longer likes the item."""

    user_id: UserId
    item_id: ItemId


class ForgetUser(msgspec.Struct, frozen=True, gc=False):
    """Everything known of the user is erased, now."""

    user_id: UserId


class RetireItem(msgspec.Struct, frozen=True, gc=False):
    """The item is not recommended any more, to anyone."""

    item_id: ItemId


class RestoreItem(msgspec.Struct, frozen=True, gc=False):
    """The item may be recommended again."""

    item_id: ItemId


Event = Like | Unlike | ForgetUser | RetireItem | RestoreItem
_ABOUT_ITEMS = (RetireItem, RestoreItem)

_ACTIONS: dict[type[Event], str] = {
    Like: "like",
    Unlike: "unlike",
    ForgetUser: "forget_user",
    RetireItem: "retire_item",
    RestoreItem: "restore_item",
}
ACTIONS = frozenset(_ACTIONS.values())


# As long as an id may be if each of its characters takes UTF-8's most, four bytes.
_SurelyShort = msgspec.Meta(min_length=1, max_length=MAX_ID_BYTES // 4)


class _UsualBody(msgspec.Struct):
    """What most events look like; `_Body` is for everything else, and for saying what is wrong."""

    user_id: Annotated[UserId, _SurelyShort]
    item_id: Annotated[ItemId, _SurelyShort]
    action: Literal["like", "unlike", None] = None
    timestamp: int | float | str | None = None
    version: Literal[1, None] = None
    specversion: None = None


class _Body(msgspec.Struct):
    """The JSON object as it may arrive; unknown fields are ignored, and null means not given."""

    user_id: str | int | None = None
    item_id: str | int | None = None
    action: str | None = None
    timestamp: Any = None
    version: int | None = None
    specversion: str | None = None
    type: Any = None
    data: msgspec.Raw = msgspec.Raw()
    data_base64: Any = None


class _Times(msgspec.Struct):
    """The part of a body or an envelope that says when it happened."""

    timestamp: Any = None
    time: Any = None
    specversion: str | None = None
    data: msgspec.Raw = msgspec.Raw()
    data_base64: Any = None


_usual_decoder = msgspec.json.Decoder(_UsualBody)
_decoder = msgspec.json.Decoder(_Body)
_times_decoder = msgspec.json.Decoder(_Times)
_encoder = msgspec.json.Encoder()


def decode_event(
    record: Record, *, on_unclear_time: Callable[[object], None] | None = None
) -> Event:
    """Return the event that a record of the likes topic carries.

    A `timestamp` that is no time costs no event; `on_unclear_time` is told of it.

    CloudEvents 1.0 are accepted in structured mode (the envelope is the body) and in binary
    mode (`ce_…` headers); where their data names no action, the last word of `type` does that is no
    version.

    Raises:
        InvalidInputError: the record breaks the wire contract. Nothing else is ever raised.
    """
    return _decode_usual_form(record, on_unclear_time) or decode_any_form(record, on_unclear_time)


def _decode_usual_form(
    record: Record, on_unclear_time: Callable[[object], None] | None = None
) -> Like | Unlike | None:
    """Return what `decode_any_form` does, in half the time, for a record that needs no second look.

    The JSON decoder checks the types and lengths of such a body by itself.
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
    """See `decode_event`, which looks for the usual form first."""
    try:
        return _decode_any_form(record, on_unclear_time)
    except InvalidInputError as reason:
        raise explained(reason, record) from reason


def _decode_any_form(record: Record, on_unclear_time: Callable[[object], None] | None) -> Event:
    body = _decode_body(record.value)
    kind = _binary_mode_type(record)
    if body.specversion is not None:
        kind = _cloud_event_type(body.specversion, body.type)
        body = _decode_body(_data_of(body))
    if body.version not in {PROTOCOL_VERSION, None}:
        raise InvalidInputError(
            "unsupported_version", f"version {body.version} is not {PROTOCOL_VERSION}"
        )
    event = make_event(body.action or _action_of(kind), body.user_id, body.item_id)
    _check_key(record.key, event)
    if body.timestamp is not None and on_unclear_time is not None:
        _check_time(body.timestamp, on_unclear_time)
    return event


def _check_time(timestamp: object, on_unclear_time: Callable[[object], None]) -> None:
    try:
        parse_time_ms(timestamp)
    except InvalidInputError:
        on_unclear_time(timestamp)


def event_time_ms(record: Record) -> int | None:
    """Return when the event happened, in ms since the epoch; None where nothing says it.

    Its own `timestamp` goes first, then a CloudEvent's `time`, then the record's timestamp; what
    is no time is passed over. Apart from `decode_event`, since who applies events has no use for
    times. Never raises.
    """
    written = [dict(record.headers).get("ce_time")] if record.headers else []
    try:
        body = _times_decoder.decode(record.value or b"")
        if body.specversion is not None:
            written.append(body.time)
            body = _times_decoder.decode(_data_of(body))
        written.insert(0, body.timestamp)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, InvalidInputError):
        pass  # no event either: `decode_event` says why
    for value in written:
        with suppress(InvalidInputError, UnicodeDecodeError):
            found = parse_time_ms(value.decode() if isinstance(value, bytes) else value)
            if found is not None:
                return found
    return record.timestamp if record.timestamp >= 0 else None


def make_event(action: str, user_id: str | int | None, item_id: str | int | None) -> Event:
    """Return the event that the action means; an id that it has no use for is ignored.

    Raises:
        InvalidInputError: the action is unknown, or an id that it needs is missing or no id.
    """
    match action:
        case "like":
            return Like(parse_user_id(user_id), parse_item_id(item_id))
        case "unlike":
            return Unlike(parse_user_id(user_id), parse_item_id(item_id))
        case "forget_user":
            return ForgetUser(parse_user_id(user_id))
        case "retire_item":
            return RetireItem(parse_item_id(item_id))
        case "restore_item":
            return RestoreItem(parse_item_id(item_id))
    raise InvalidInputError(
        "unknown_action", f"action {action[:64]!r} is none of {', '.join(sorted(ACTIONS))}"
    )


def encode_event(event: Event, *, timestamp_ms: int | None = None) -> bytes:
    """Return the JSON body of an event: what `decode_event` reads back as the same event."""
    body: dict[str, object] = {"action": _ACTIONS[type(event)], **msgspec.structs.asdict(event)}
    if timestamp_ms is not None:
        body["timestamp"] = wire_time(timestamp_ms)
    return _encoder.encode(body)


def event_key(event: Event) -> bytes:
    """Return the record key: what has to stay in order (a user's likes, an item's state)."""
    return _subject(event).encode()


def _decode_body(raw: bytes | None) -> _Body:
    return decode_json(_decoder, raw, what="event", max_bytes=MAX_EVENT_BYTES)


def _binary_mode_type(record: Record) -> str | None:
    if not record.headers:
        return None
    headers = dict(record.headers)
    # A header may be there without a value.
    specversion, kind = (headers.get(name) for name in ("ce_specversion", "ce_type"))
    if specversion is None:
        return None
    return _cloud_event_type(
        specversion.decode(errors="replace"), (kind or b"").decode(errors="replace")
    )


def _data_of(envelope: _Body | _Times) -> bytes:
    """Return the event that a CloudEvent's envelope holds."""
    data, encoded = bytes(envelope.data), envelope.data_base64
    if encoded is None or data not in {b"", b"null"}:
        return data
    try:
        return base64.b64decode(encoded, validate=True)
    except (ValueError, TypeError) as error:
        raise InvalidInputError("wrong_type", "`data_base64` is not base64") from error


def _cloud_event_type(specversion: str, kind: object) -> str:
    if specversion != "1.0":
        raise InvalidInputError(
            "unsupported_version", f"CloudEvents specversion {specversion[:16]!r} is not '1.0'"
        )
    if not isinstance(kind, str) or not kind:
        raise InvalidInputError("missing_field", "a CloudEvent needs a `type`")
    return kind


# `v1`, `2`, `v1beta1`, `2026-01-01`: a part of a CloudEvent's type that is a version; and one that
# is written to the end of another part.
_VERSION = re.compile(r"[vV]?\d[\w-]*")
_VERSION_BEHIND = re.compile(r"[_-][vV]\d[\w-]*$")


def _action_of(cloud_event_type: str | None) -> str:
    """Return the last word of the type that is no version: `like` of `com.example.like.v1`."""
    if cloud_event_type is None:
        return "like"
    words = re.split(r"[./:#]", cloud_event_type[-MAX_ID_BYTES:])
    named = [word for word in words if word and not _VERSION.fullmatch(word)]
    return _VERSION_BEHIND.sub("", named[-1]) if named else cloud_event_type


def _subject(event: Event) -> str:
    return event.item_id if isinstance(event, _ABOUT_ITEMS) else event.user_id


def _check_key(key: bytes | None, event: Event) -> None:
    """Refuse a key that names someone else: such an event would be out of the user's order."""
    subject = _subject(event)
    if key is None or key == subject.encode():
        return
    if key != _encoder.encode(subject):  # clients with a JSON serialiser quote their keys
        shown = about_key(key, subject) or repr(key[:64].decode(errors="replace"))
        raise InvalidInputError(
            "key_mismatch", f"the record's key is {shown}, and not {subject[:64]!r}"
        )
