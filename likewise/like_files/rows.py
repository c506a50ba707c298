"""From a row of a file to the event it stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from likewise.errors import InvalidInputError
from likewise.events import make_event
from likewise.times import parse_time_ms

if TYPE_CHECKING:
    from likewise.events import Event


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
    return event, parse_time_ms(row.timestamp)


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
