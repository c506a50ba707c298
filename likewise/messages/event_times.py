"""When an event happened, as far as its record says."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from likewise.errors import InvalidInputError
from likewise.messages.cloud_events import data_of
from likewise.messages.times import parse_time_ms

if TYPE_CHECKING:
    from likewise.records import Record


class _Times(msgspec.Struct):
    """The fields of a body or an envelope that contain times."""

    timestamp: Any = None
    time: Any = None
    specversion: str | None = None
    data: msgspec.Raw = msgspec.Raw()
    data_base64: Any = None


_times_decoder = msgspec.json.Decoder(_Times)


def event_time_ms(record: Record) -> int | None:
    """Return when the event happened, in ms since the epoch; None if the record has no time.

    The event's `timestamp` comes first, then a CloudEvent's `time`, then the record's timestamp.
    Values that can't be parsed are ignored. Never raises.
    """
    written = [dict(record.headers).get("ce_time")] if record.headers else []
    try:
        body = _times_decoder.decode(record.value or b"")
        if body.specversion is not None:
            written.append(body.time)
            body = _times_decoder.decode(data_of(body))
        written.insert(0, body.timestamp)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, InvalidInputError):
        pass  # not an event either: `decode_event` reports why
    for value in written:
        with suppress(InvalidInputError, UnicodeDecodeError):
            found = parse_time_ms(value.decode() if isinstance(value, bytes) else value)
            if found is not None:
                return found
    return record.timestamp if record.timestamp >= 0 else None
