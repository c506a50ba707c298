"""Parses times in files, events and on the command line, by the same rules everywhere."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta

from likewise.errors import InvalidInputError
from likewise.messages.written_times import UnclearTimeError, parse_written

_FIRST_MS, _FIRST_US, _FIRST_NS = 10**11, 10**14, 10**17
"""Numbers below the first are seconds, then milliseconds, microseconds and nanoseconds. Each unit covers the
years 1973 to 5138."""
_SURELY_MS = range(_FIRST_MS, 10**13)
"""Milliseconds of 1973 to 2286: most numbers are, and none of these has the digits of a date."""
_DATES_MS = range(-62_135_596_800_000, 253_402_300_800_000)
"""The years 1 to 9999, which ISO 8601 can write."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_NOTHING = frozenset({"", "nan", "nat", "null", "none", "\\n", "0000-00-00", "0000-00-00 00:00:00"})
"""How databases and data frames write a missing time."""
_BASIC_DATE = re.compile(
    r"((?:19|20)\d\d)(0[1-9]|1[0-2])([0-2]\d|3[01])(?:([01]\d|2[0-3])([0-5]\d)([0-5]\d))?"
)
"""20240131 and 20240131120000, which as numbers would be times in 1970."""


def parse_time_ms(
    value: object, field: str = "timestamp", *, day_first: bool | None = None
) -> int | None:
    """Return the time in ms since the epoch; None for a missing time (None, "", NaN, NaT, year 1).

    A time is a number (seconds, from 10^11 on ms, from 10^14 on µs, from 10^17 on ns; eight or
    fourteen digits that form a date are that date), ISO 8601 or a similar text (see
    `parse_written`), a `datetime` or a `date`. Without a time zone it is UTC.

    Raises:
        InvalidInputError: the value is not a time, is ambiguous, or is outside the years 1 to 9999.
    """
    if type(value) is int and value in _SURELY_MS:  # fast path: the time of nearly every event
        return value
    match value:
        case None | "":
            return None
        case bool():
            pass  # a subclass of int in Python, but not a time
        case int() | float() | datetime() if value != value:  # NaN, NaT: missing values
            return None
        case datetime():
            return _since_epoch_ms(value)
        case date():
            return _since_epoch_ms(datetime.combine(value, time.min))
        case int() | float():
            return _number_ms(value, field)
        case str():
            return _written_ms(value.strip(), field, day_first)
    raise InvalidInputError("invalid_timestamp", f"`{field}` is {value!r}, which is not a time")


def iso_time(time_ms: int) -> str:
    """Return the time as ISO 8601 in UTC: 2026-01-31T12:00:00Z, with milliseconds if not zero."""
    moment = (_EPOCH + time_ms * _MILLISECOND).replace(tzinfo=None)
    return moment.isoformat(timespec="milliseconds" if time_ms % 1000 else "seconds") + "Z"


def wire_time(time_ms: int) -> int | str:
    """Return the time in a form that `parse_time_ms` reads back: a number if that is unambiguous."""
    return (
        time_ms if _FIRST_MS <= time_ms < _FIRST_US and not _is_date(time_ms) else iso_time(time_ms)
    )


def _is_date(number: int) -> bool:
    return _BASIC_DATE.fullmatch(str(number)) is not None


def _number_ms(number: float, field: str) -> int:
    magnitude = abs(number)
    if (10**7 <= magnitude < 10**8 or 10**13 <= magnitude < 10**14) and number == int(number):
        moment = _basic_date(str(int(number)))
        if moment is not None:
            return _since_epoch_ms(moment)
    if magnitude < _FIRST_MS:
        milliseconds = number * 1000
    elif magnitude < _FIRST_US:
        milliseconds = number
    else:
        milliseconds = number // (1000 if magnitude < _FIRST_NS else 1_000_000)
    if not _DATES_MS.start <= milliseconds < _DATES_MS.stop:
        raise InvalidInputError(
            "invalid_timestamp", f"`{field}` is a number far from any date of the years 1 to 9999"
        )
    return int(milliseconds)


def _basic_date(digits: str) -> datetime | None:
    found = _BASIC_DATE.fullmatch(digits)
    if found is None:
        return None
    try:
        return datetime(*(int(part) for part in found.groups("0")), tzinfo=UTC)  # type: ignore[misc, arg-type] # six numbers
    except ValueError:
        return None  # 31 February


def _written_ms(text: str, field: str, day_first: bool | None) -> int | None:
    if text.lower() in _NOTHING:
        return None
    if text.isdigit() and text.isascii() and len(text) < 20:
        return _number_ms(int(text), field)
    try:
        return parse_time_ms(float(text), field)
    except ValueError:
        pass  # not a number
    try:
        time_ms = _since_epoch_ms(parse_written(text, day_first=day_first))
    except UnclearTimeError as error:
        raise InvalidInputError("invalid_timestamp", f"`{field}` {text[:64]!r} {error}") from error
    return None if time_ms == _DATES_MS.start else time_ms  # the zero value of Go and .NET: missing


def _since_epoch_ms(moment: datetime) -> int:
    zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (zoned - _EPOCH) // _MILLISECOND  # in integers: a float loses milliseconds
