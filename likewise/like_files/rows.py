"""From a row of a file to the event it stands for."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, NamedTuple

from likewise.errors import InvalidInputError
from likewise.events import make_event

if TYPE_CHECKING:
    from likewise.events import Event

_FIRST_MILLISECONDS = 10**11
"""Numbers below are seconds (until the year 5138), numbers from here on milliseconds (from 1973)."""


class Row(NamedTuple):
    """One row as it stands in a file; what is missing is None.

    `line` counts from 1, a CSV's header included. `fault` says why a line could not be taken apart.
    """

    line: int
    user: object = None
    item: object = None
    timestamp: object = None
    action: object = None
    split: object = None
    fault: str | None = None


def event_of_row(row: Row) -> tuple[Event, int | None]:
    """Return the event that a row stands for, and its time in ms since the epoch if it has one.

    Whole numbers become their decimal digits, never "1.0". Times are numbers (seconds, or
    milliseconds from 10^11 on), ISO 8601, or Parquet's own; without a zone they are UTC.

    Raises:
        InvalidInputError: an id is missing or no id, or the action or the time means nothing.
    """
    if row.fault is not None:
        raise InvalidInputError("malformed_line", row.fault)
    action = _text("action", row.action) or "like"
    event = make_event(action, _text("user_id", row.user), _text("item_id", row.item))
    return event, _timestamp_ms(row.timestamp)


def _text(field: str, value: object) -> str | None:
    match value:
        case None | str():
            return value
        case bool():
            pass  # an int to Python, but nobody's id
        case int():
            return str(value)
        case float() if value != value:  # NaN: how columns of numbers say that one is missing
            return None
        case float() if value.is_integer():
            return str(int(value))
        case bytes():
            return value.decode(errors="surrogateescape")  # refused with the other ids
    raise InvalidInputError("invalid_id", f"`{field}` is {value!r}, neither text nor whole number")


def _timestamp_ms(value: object) -> int | None:
    match value:
        case None | "":
            return None
        case bool():
            pass
        case datetime():
            return _since_epoch_ms(value)
        case date():
            return _since_epoch_ms(datetime.combine(value, time.min))
        case str() | int() | float():
            try:
                return _number_ms(float(value))
            except (ValueError, OverflowError):
                return _parsed_ms(str(value))
    raise InvalidInputError("invalid_timestamp", f"`timestamp` is {value!r}, which is no time")


def _number_ms(number: float) -> int:
    return int(number * 1000) if abs(number) < _FIRST_MILLISECONDS else int(number)


def _parsed_ms(text: str) -> int | None:
    if text.lower() == "nan":
        return None
    try:
        return _since_epoch_ms(datetime.fromisoformat(text))
    except (ValueError, OverflowError) as error:
        raise InvalidInputError(
            "invalid_timestamp", f"`timestamp` {text[:64]!r} is neither a number nor ISO 8601"
        ) from error


def _since_epoch_ms(moment: datetime) -> int:
    zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int(zoned.timestamp() * 1000)
