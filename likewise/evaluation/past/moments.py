"""Moments of the past: a time, or an event of the log. Reads topics up to one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from likewise.errors import InvalidInputError, LikewiseError
from likewise.evaluation.likes.until import parse_until
from likewise.log.ranges import read_between
from likewise.messages.positions import Position
from likewise.messages.times import iso_time
from likewise.records import TopicPartition

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from indexer.progress import Progress
    from likewise.log.port import Broker
    from likewise.records import Record

_POSITION = re.compile(r"\d{1,9}:\d{1,18}")
_AGO = re.compile(
    r"(\d+(?:\.\d+)?)\s*(s|m|h|d|w)(?:ec|econd|in|inute|our|ay|eek)?s?\s+ago", re.IGNORECASE
)
_DAY = re.compile(r"([a-z]+)(?:\s+(?:at\s+)?(\d{1,2}):(\d{2}))?", re.IGNORECASE)
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in the past: everything with a timestamp up to `time_ms` has happened.

    With a position, which is an event of the likes topic, its partition ends right after that event.
    """

    time_ms: int
    position: Position | None = None

    def __str__(self) -> str:
        time = iso_time(self.time_ms)
        return time if self.position is None else f"{self.position} ({time})"


def parse_moment(text: str, *, now_ms: int) -> int | Position:
    """Return the time in ms, or the position, that the text names. Times without a zone are UTC.

    A text is `PARTITION:OFFSET`, a time as `parse_time_ms` reads it, a time ago (`-2h`, `2h ago`), `now`, or
    a day with a time (`yesterday 14:00`, `tuesday 9:30`). A day alone begins at midnight; the name of a
    weekday is the last such day before today.

    Raises:
        InvalidInputError: it is none of these.
    """
    text = text.strip()
    if _POSITION.fullmatch(text):
        return Position.parse(text)
    if ago := _AGO.fullmatch(text):
        text = f"-{ago[1]}{ago[2].lower()}"
    elif day := _DAY.fullmatch(text):
        return _of_day(day, now_ms)
    found = parse_until(text, now_ms=now_ms, numbers_are_times=True).time_ms
    if found is None:
        raise InvalidInputError("invalid_timestamp", f"{text!r} is not a time")
    return found


def moment_of(broker: Broker, topic: str, named: int | Position) -> Moment:
    """Return the moment; that of a position is the time of its record in the topic.

    Raises:
        LikewiseError: the topic has no record at the position.
        TransientError: the broker cannot be reached.
    """
    if not isinstance(named, Position):
        return Moment(named)
    partition = TopicPartition(topic, named.partition)
    if partition not in broker.partitions(topic):
        raise LikewiseError(f"topic {topic} has no partition {named.partition}")
    [first], [end] = (
        list(each([partition]).values()) for each in (broker.beginning_offsets, broker.end_offsets)
    )
    if not first <= named.offset < end:
        raise LikewiseError(f"{topic}/{named.partition} has the offsets {first} to {end - 1} only")
    one = read_between(broker, {partition: named.offset}, {partition: named.offset + 1})
    for record in (record for records in one for record in records):
        return Moment(record.timestamp, named)
    raise LikewiseError(f"{topic}/{named.partition} has no record at offset {named.offset}")


def read_until(
    broker: Broker, partitions: Sequence[TopicPartition], moment: Moment, progress: Progress
) -> Iterator[list[Record]]:
    """Yield the records up to the moment, each partition's in order, from its first record.

    A partition ends before its first record with a later timestamp: what follows had not arrived yet.
    The position of the moment counts if the partition is one of these.

    Raises:
        TransientError: the broker cannot be reached.
    """
    start, end = broker.beginning_offsets(partitions), broker.end_offsets(partitions)
    surely = broker.offsets_since(partitions, moment.time_ms + 1)
    surely = {one: min(max(at, start[one]), end[one]) for one, at in surely.items()}
    position, exact = moment.position, None
    if position is not None:
        exact = next((one for one in partitions if one.partition == position.partition), None)
        if exact is not None:
            surely[exact] = min(position.offset + 1, end[exact])
    progress.expect(sum(surely[one] - start[one] for one in partitions))
    for records in read_between(broker, start, surely):
        progress.advance(len(records))
        yield records
    for partition in (one for one in partitions if one != exact):
        yield from _until_later(broker, partition, surely[partition], end[partition], moment)


def _until_later(
    broker: Broker, partition: TopicPartition, start: int, end: int, moment: Moment
) -> Iterator[list[Record]]:
    """Yield the records from `start` up to the first one after the moment."""
    for records in read_between(broker, {partition: start}, {partition: end}):
        for index, record in enumerate(records):
            if record.timestamp > moment.time_ms:
                yield records[:index]
                return
        yield records


def _of_day(found: re.Match[str], now_ms: int) -> int:
    name, clock = found[1].lower(), (int(found[2] or 0), int(found[3] or 0))
    if name == "now" and found[2] is None:
        return now_ms
    today = datetime.fromtimestamp(now_ms / 1000, UTC).replace(
        hour=0, minute=0, second=0, microsecond=0
    )
    if name in ("today", "yesterday"):
        days = 0 if name == "today" else 1
    else:
        matches = [at for at, day in enumerate(_WEEKDAYS) if len(name) > 2 and day.startswith(name)]
        if not matches:
            raise InvalidInputError("invalid_timestamp", f"{found[0]!r} is not a time")
        days = (today.weekday() - matches[0]) % 7 or 7
    if clock >= (24, 0) or clock[1] > 59:
        raise InvalidInputError("invalid_timestamp", f"{found[0]!r} has an invalid time of day")
    moment = today - timedelta(days=days) + timedelta(hours=clock[0], minutes=clock[1])
    return int(moment.timestamp()) * 1000
