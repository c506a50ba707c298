"""Moments as they are written in files, events and on the command line: read alike everywhere."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta

from likewise.errors import InvalidInputError
from likewise.messages.written_times import UnclearTimeError, parse_written

_FIRST_MS, _FIRST_US, _FIRST_NS = 10**11, 10**14, 10**17
"""Numbers are seconds below the first (until the year 5138), then milliseconds (from 1973), microseconds,
nanoseconds: each unit covers 1973 to 5138."""
_SURELY_MS = range(_FIRST_MS, 10**13)
"""Milliseconds of 1973 to 2286: what most numbers are, and no digits of a date."""
_DATES_MS = range(-62_135_596_800_000, 253_402_300_800_000)
"""From the year 1 to the end of 9999: the dates that can be written."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_NOTHING = frozenset({"", "nan", "nat", "null", "none", "\\n", "0000-00-00", "0000-00-00 00:00:00"})
"""How databases and data frames write that there is no time."""
_BASIC_DATE = re.compile(
    r"((?:19|20)\d\d)(0[1-9]|1[0-2])([0-2]\d|3[01])(?:([01]\d|2[0-3])([0-5]\d)([0-5]\d))?"
)
"""20240131 and 20240131120000, which as numbers would be moments of 1970."""


def parse_time_ms(
    value: object, field: str = "timestamp", *, day_first: bool | None = None
) -> int | None:
    """Return the time in ms since the epoch; None where there is none (None, "", NaN, NaT, year 1).

    Times are numbers (seconds, from 10^11 on ms, from 10^14 on µs, from 10^17 on ns; eight or
    fourteen digits that make a date are that date), ISO 8601 and its relatives (see
    `parse_written`), or `datetime` and `date`; without a zone they are UTC.

    Raises:
        InvalidInputError: the value is no time, could be two, or is not one of the years 1 to 9999.
    """
    if type(value) is int and value in _SURELY_MS:  # asked of every event that says when it was
        return value
    match value:
        case None | "":
            return None
        case bool():
            pass  # an int to Python, but no time
        case int() | float() | datetime() if value != value:  # NaN, NaT: columns without a value
            return None
        case datetime():
            return _since_epoch_ms(value)
        case date():
            return _since_epoch_ms(datetime.combine(value, time.min))
        case int() | float():
            return _number_ms(value, field)
        case str():
            return _written_ms(value.strip(), field, day_first)
    raise InvalidInputError("invalid_timestamp", f"`{field}` is {value!r}, which is no time")


def iso_time(time_ms: int) -> str:
    """Return the moment as ISO 8601 in UTC: 2026-01-31T12:00:00Z, with milliseconds if it has any."""
    moment = (_EPOCH + time_ms * _MILLISECOND).replace(tzinfo=None)
    return moment.isoformat(timespec="milliseconds" if time_ms % 1000 else "seconds") + "Z"


def wire_time(time_ms: int) -> int | str:
    """Return the moment so that `parse_time_ms` reads the same: a number where that is clear."""
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
        pass  # no number
    try:
        time_ms = _since_epoch_ms(parse_written(text, day_first=day_first))
    except UnclearTimeError as error:
        raise InvalidInputError("invalid_timestamp", f"`{field}` {text[:64]!r} {error}") from error
    return None if time_ms == _DATES_MS.start else time_ms  # Go and .NET: no time at all


def _since_epoch_ms(moment: datetime) -> int:
    zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (zoned - _EPOCH) // _MILLISECOND  # in integers: a float loses milliseconds
