"""Parses times written for people: ISO 8601 and similar forms, month names, and days before months.

Only unambiguous text is accepted. `1/31/2024` is; for `1/2/2024` the caller has to say which number is
the day.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAY = re.compile(r"\b(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\b[,.]?", re.IGNORECASE)
_CLOCK = re.compile(
    r"(?:\bat\s+)?(?<!\d)(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d+))?)?(?:\s*([ap])\.?m\b\.?)?",
    re.IGNORECASE,
)
_OFFSET = re.compile(r"\s*(?:UTC|GMT)?([+-])(\d{2})(?::?(\d{2}))?(?:\s+(?:UTC|GMT|[+-]\d{4}))?$")
_ZONE = re.compile(r"\s*\b(?:Z|UTC|GMT|UT)$|(?<=\d)Z$")
_REMARK = re.compile(r"\s*\([^)]*\)$")  # JavaScript: GMT+0100 (Central European Standard Time)
_US_ZONES = {"EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7}
_US_ZONE = re.compile(rf"\s*\b({'|'.join(_US_ZONES)})\b")  # as in RFC 5322

_YEAR_FIRST = re.compile(r"(\d{4})[-/. ](\d{1,2})[-/. ](\d{1,2})T?")
_YEAR_LAST = re.compile(r"(\d{1,2})([-/. ])(\d{1,2}),?[-/. ]\s*(\d{4})")
_DAY_NAMED = re.compile(
    r"(\d{1,2})(?:st|nd|rd|th)?[-/. ,]+([a-z]{3,9})\.?[-/. ,:]+(\d{4})", re.IGNORECASE
)
_MONTH_NAMED = re.compile(
    r"([a-z]{3,9})\.?[-/. ]+(\d{1,2})(?:st|nd|rd|th)?[-/. ,]+(\d{4})", re.IGNORECASE
)


class UnclearTimeError(ValueError):
    """The text is not a time, or is ambiguous. The message continues a sentence that begins with the text."""


def parse_written(text: str, *, day_first: bool | None = None) -> datetime:
    """Return the time; without a time zone it is UTC.

    `day_first` decides whether `1/2/2024` is 1 February or 2 January; None makes it ambiguous. With dots
    the day comes first by convention: `1.2.2024` is 1 February.

    Raises:
        UnclearTimeError: the text is not a time, or is ambiguous.
    """
    try:
        return _in_utc(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        pass  # not strictly ISO 8601
    try:
        return _parse_loosely(text, day_first)
    except OverflowError as error:
        raise UnclearTimeError("is outside the years 1 to 9999") from error


def _parse_loosely(text: str, day_first: bool | None) -> datetime:
    rest, zone = _take_zone(_WEEKDAY.sub("", text).strip().strip("[]"))
    clock = _CLOCK.search(rest)
    if clock:
        rest = f"{rest[: clock.start()]} {rest[clock.end() :]}"
        rest, later_zone = _take_zone(rest.strip())  # Wed Aug 27 13:08:45 +0000 2008
        zone = zone or later_zone
    rest = " ".join(rest.split()).strip(" ,:T")
    day = _date_of(rest, day_first)
    try:
        moment = datetime(day.year, day.month, day.day, *_clock_of(clock), tzinfo=zone or UTC)
    except ValueError as error:
        raise UnclearTimeError("has an invalid time of day") from error
    return moment


def _take_zone(text: str) -> tuple[str, timezone | None]:
    """Return the text without its time zone, and the zone."""
    text = _REMARK.sub("", text)
    if ":" in text and (named := _US_ZONE.search(text)):
        zone = timezone(timedelta(hours=_US_ZONES[named[1]]))
        return text[: named.start()] + text[named.end() :], zone
    if ":" in text and (offset := _OFFSET.search(text)):
        delta = timedelta(hours=int(offset[2]), minutes=int(offset[3] or 0))
        if delta >= timedelta(hours=24):
            raise UnclearTimeError("has an invalid time zone")
        return text[: offset.start()], timezone(-delta if offset[1] == "-" else delta)
    if utc := _ZONE.search(text):
        return text[: utc.start()], UTC
    # Twitter puts the zone before the year; the time of day is already removed here.
    if inner := re.search(r"\s([+-])(\d{2})(\d{2})(?=\s\d{4}$)", text):
        delta = timedelta(hours=int(inner[2]), minutes=int(inner[3]))
        if delta < timedelta(hours=24):
            zone = timezone(-delta if inner[1] == "-" else delta)
            return text[: inner.start()] + text[inner.end() :], zone
    return text, None


def _clock_of(clock: re.Match[str] | None) -> tuple[int, int, int, int]:
    if clock is None:
        return 0, 0, 0, 0
    hour, minute, second = int(clock[1]), int(clock[2]), int(clock[3] or 0)
    if clock[5]:
        if not 1 <= hour <= 12:
            raise UnclearTimeError("has an invalid time of day")
        hour = hour % 12 + (12 if clock[5] in "pP" else 0)
    return hour, minute, second, int((clock[4] or "")[:6].ljust(6, "0"))


def _date_of(text: str, day_first: bool | None) -> date:
    if found := _YEAR_FIRST.fullmatch(text):
        return _date(found[1], found[2], found[3])
    if found := _YEAR_LAST.fullmatch(text):
        first, second, year = int(found[1]), int(found[3]), found[4]
        if day_first is None:
            if found[2] == "." or first > 12 or first == second:
                day_first = True
            elif second > 12:
                day_first = False
            else:
                raise UnclearTimeError(
                    f"is ambiguous: day {first} of month {second}, or day {second} of month {first}"
                )
        return _date(year, *((second, first) if day_first else (first, second)))
    if found := _DAY_NAMED.fullmatch(text):
        return _date(found[3], _month(found[2]), found[1])
    if found := _MONTH_NAMED.fullmatch(text):
        return _date(found[3], _month(found[1]), found[2])
    raise UnclearTimeError("is neither a number nor a date")


def _date(year: str, month: str | int, day: str | int) -> date:
    try:
        return date(int(year), int(month), int(day))
    except ValueError as error:
        raise UnclearTimeError("is not a date of the calendar") from error


def _month(name: str) -> int:
    short = name[:3].lower()
    if short not in _MONTHS:
        raise UnclearTimeError("has an unknown month name")
    return _MONTHS.index(short) + 1


def _in_utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
