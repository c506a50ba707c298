"""Moments as they are written in files, events and on the command line."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

from likewise.errors import InvalidInputError

_FIRST_MILLISECONDS = 10**11
"""Numbers below are seconds (until the year 5138), numbers from here on milliseconds (from 1973)."""
_DATES_MS = range(-62_135_596_800_000, 253_402_300_800_000)
"""From the year 1 to the end of 9999: the dates that can be written."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def parse_time_ms(value: object, field: str = "timestamp") -> int | None:
    """Return the time in ms since the epoch; None where there is none (None, "", NaN or NaT).

    Times are numbers (seconds, or milliseconds from 10^11 on), ISO 8601, or `datetime` and `date`;
    without a zone they are UTC.

    Raises:
        InvalidInputError: the value is no time, or not one of the years 1 to 9999.
    """
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
            return _written_ms(value, field)
    raise InvalidInputError("invalid_timestamp", f"`{field}` is {value!r}, which is no time")


def iso_time(time_ms: int) -> str:
    """Return the moment as ISO 8601 in UTC: 2026-01-31T12:00:00Z, with milliseconds if it has any."""
    moment = (_EPOCH + time_ms * _MILLISECOND).replace(tzinfo=None)
    return moment.isoformat(timespec="milliseconds" if time_ms % 1000 else "seconds") + "Z"


def _number_ms(number: float, field: str) -> int:
    milliseconds = number * 1000 if abs(number) < _FIRST_MILLISECONDS else number
    if not _DATES_MS.start <= milliseconds < _DATES_MS.stop:
        raise InvalidInputError(
            "invalid_timestamp", f"`{field}` is a number far from any date of the years 1 to 9999"
        )
    return int(milliseconds)


def _written_ms(text: str, field: str) -> int | None:
    try:
        return parse_time_ms(float(text), field)
    except ValueError:
        pass  # no number
    try:
        return _since_epoch_ms(datetime.fromisoformat(text))
    except (ValueError, OverflowError) as error:
        raise InvalidInputError(
            "invalid_timestamp", f"`{field}` {text[:64]!r} is neither a number nor ISO 8601"
        ) from error


def _since_epoch_ms(moment: datetime) -> int:
    zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (zoned - _EPOCH) // _MILLISECOND  # in integers: a float loses milliseconds
