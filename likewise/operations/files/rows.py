"""Converts a row of a file to an event."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from likewise.errors import InvalidInputError
from likewise.messages.events import ACTIONS, make_event
from likewise.messages.times import parse_time_ms
from likewise.operations.files.options import ReadOptions

if TYPE_CHECKING:
    from likewise.messages.events import Event

COLUMNS = ("user", "item", "timestamp", "kind", "rating", "split")
"""The fields of a row that come from columns, in order."""
_EXACT = 2**53
"""From here on, floating point does not represent every whole number."""
_AS_THEY_ARE = ReadOptions()


class UnreadTime(str):
    """A time that is not in the format that the caller names."""

    __slots__ = ()


class Row(NamedTuple):
    """One row as written in a file; a missing value is None.

    `line` counts from 1 and includes a header. `fault` says why a line is malformed. `part` names the
    file if there are several.
    """

    line: int
    user: object = None
    item: object = None
    timestamp: object = None
    kind: object = None
    rating: object = None
    split: object = None
    fault: str | None = None
    part: str | None = None


class Taken(NamedTuple):
    """The event of a row."""

    event: Event
    time_ms: int | None
    """None if the row has no time, or an invalid one."""
    time_fault: str | None = None
    """Why the time is invalid; the event is published nevertheless."""


class SkippedRowError(Exception):
    """The options exclude the row by its kind or its rating; the message says which."""


def event_of_row(row: Row, options: ReadOptions = _AS_THEY_ARE) -> Taken:
    """Return the event of a row, and its time.

    Text ids are used unchanged; whole numbers become their decimal digits, never "1.0". For times see
    `parse_time_ms`.

    Raises:
        InvalidInputError: an id is missing or invalid, the kind is unknown, or the rating is not a
            number.
        SkippedRowError: the options exclude the row by its kind or its rating.
    """
    if row.fault is not None:
        raise InvalidInputError("malformed_line", row.fault)
    if options.null:
        row = _without(row, options.null)
    action = _action(row.kind, options)
    if options.min_rating is not None:
        _check_rating(row.rating, options.min_rating)
    kind = None
    if action not in ACTIONS:
        if options.signal_kinds is not None and action not in options.signal_kinds:
            raise InvalidInputError(
                "unknown_kind", f"{action[:64]!r} is neither an action nor a kind in [signals]"
            )
        action, kind = "signal", action
    user_id, item_id = id_text("user_id", row.user), id_text("item_id", row.item)
    event = make_event(action, user_id, item_id, kind=kind)
    if row.timestamp is None:
        return Taken(event, None)
    try:
        return Taken(event, _time_ms(row.timestamp, options))
    except InvalidInputError as error:
        return Taken(event, None, error.message)


def _without(row: Row, null: frozenset[str]) -> Row:
    """Return the row with None for texts that mean a missing value."""
    kept = (None if value is not None and str(value) in null else value for value in row[1:7])
    return Row(row.line, *kept)._replace(fault=row.fault, part=row.part)  # type: ignore[arg-type] # six of `object`


def _action(kind: object, options: ReadOptions) -> str:
    selective = options.kinds or options.only
    if kind is None and not selective:
        return options.action
    named = "" if kind is None else (kind.strip() if isinstance(kind, str) else str(kind))
    if not selective:
        return named or options.action
    if (options.only and named not in options.only) or not named:
        raise SkippedRowError(f"kind {named[:64]!r}")
    mapped = options.kinds.get(named)
    if mapped is not None:
        return mapped
    if options.only:
        return named if named in ACTIONS else "like"
    raise SkippedRowError(f"kind {named[:64]!r}")


def _check_rating(value: object, lowest: float) -> None:
    try:
        rating = float(value)  # type: ignore[arg-type] # non-numbers raise
    except (TypeError, ValueError) as error:
        raise InvalidInputError(
            "invalid_rating", f"the rating {value!r} is not a number"
        ) from error
    if not rating >= lowest:
        raise SkippedRowError(f"rating below {lowest:g}")


def _time_ms(value: object, options: ReadOptions) -> int | None:
    if isinstance(value, UnreadTime):
        raise InvalidInputError(
            "invalid_timestamp", f"`timestamp` {value[:64]!r} does not have the --timestamp-format"
        )
    day_first = {"day-first": True, "month-first": False}.get(options.timestamp_format or "")
    return parse_time_ms(value, day_first=day_first)


def id_text(field: str, value: object) -> str | None:
    """Return the id that a value of a file stands for; None if it is missing.

    Raises:
        InvalidInputError: it is neither text nor a whole number.
    """
    match value:
        case None:
            return None
        case str():
            if not value.isascii():
                _check_encoded(field, value)
            return value
        case bool():
            pass  # a subclass of int in Python, but not an id
        case int():
            return str(value)
        case float() | Decimal() if value != value:  # NaN: a missing value in a column of numbers
            return None
        case float() if value.is_integer() and abs(value) >= _EXACT:
            raise InvalidInputError(
                "invalid_id", f"`{field}` {value!r} is floating point and has lost digits"
            )
        case float() | Decimal() if value == value // 1:
            return str(int(value))
        case bytes():
            return id_text(field, value.decode(errors="surrogateescape"))
    raise InvalidInputError(
        "invalid_id", f"`{field}` is {value!r}, neither text nor a whole number"
    )


def _check_encoded(field: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInputError(
            "invalid_id",
            f"`{field}` has bytes that are not UTF-8; set --encoding",
        ) from error
