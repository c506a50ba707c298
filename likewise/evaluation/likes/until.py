"""Splits likes at a point: train on the likes before it, test on the likes after it.

A point is a time or a position in the log. The first event at or after the point belongs to test.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from likewise.errors import InvalidInputError
from likewise.evaluation.errors import EvaluationError
from likewise.evaluation.likes.table import LikeCollector, Split, Stamp, said
from likewise.messages.positions import Position
from likewise.messages.times import iso_time, parse_time_ms

if TYPE_CHECKING:
    from collections.abc import Mapping

    from likewise.evaluation.likes.table import LikeTable
    from likewise.messages.events import Event
    from likewise.messages.ids import SignalKind

_AGO = re.compile(r"-(\d+(?:\.\d+)?)\s*([smhdw])")
_NUMBER = re.compile(r"[-+]?[\d.]+")
_UNIT_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_POSITIONS = re.compile(r"\d+|\d+:\d+(\s*,\s*\d+:\d+)*")


@dataclass(frozen=True, slots=True)
class Until:
    """The point where train ends: a time, or an offset of each partition."""

    time_ms: int | None = None
    offsets: Mapping[int, int] = field(default_factory=dict)
    """By partition number; empty if the point is a time."""

    def __str__(self) -> str:
        if self.time_ms is not None:
            return iso_time(self.time_ms)
        return ",".join(str(Position(*place)) for place in sorted(self.offsets.items()))

    def covers(self, time_ms: int | None, position: Position | None) -> bool:
        """Whether an event with this time, at this position in the log, belongs to train.

        Raises:
            InvalidInputError: the point is a time, and the event has none.
        """
        if self.time_ms is None:
            return position is not None and position.offset < self.offsets[position.partition]
        if time_ms is None:
            raise InvalidInputError("missing_field", "`timestamp` is missing, which --until needs")
        return time_ms < self.time_ms


def parse_until(text: str, *, now_ms: int, numbers_are_times: bool = False) -> Until:
    """Parse a time (as `parse_time_ms` does, or a time ago such as `-7d`) or positions in the log.

    Positions are `partition:offset`, separated by commas. A single number is an offset of partition 0,
    or a time if `numbers_are_times`. The units of a time ago are s, m, h, d and w.

    Raises:
        InvalidInputError: it is none of these.
    """
    text = text.strip()
    if ago := _AGO.fullmatch(text):
        return Until(now_ms - round(float(ago[1]) * _UNIT_MS[ago[2]]))
    number = _NUMBER.fullmatch(text)
    if _POSITIONS.fullmatch(text) and not (number and numbers_are_times):
        places = [Position.parse(one if ":" in one else f"0:{one}") for one in _parts(text)]
        return Until(offsets=dict(places))
    time_ms = None if number and not numbers_are_times else parse_time_ms(text, "--until")
    if time_ms is None:
        raise InvalidInputError("invalid_timestamp", f"{text!r} is neither a time nor an offset")
    return Until(time_ms)


def check_offsets(until: Until, start: Mapping[int, int], end: Mapping[int, int]) -> None:
    """Check that the offsets are within the log; `start` and `end` are by partition number.

    Raises:
        EvaluationError: a partition is missing or unknown, or its offset is outside the log.
    """
    if until.time_ms is not None:
        return
    unnamed, unknown = start.keys() - until.offsets.keys(), until.offsets.keys() - start.keys()
    if unknown:
        raise EvaluationError(
            f"--until has partition {min(unknown)}, but there are only partitions 0 to {max(start)}"
        )
    if unnamed:
        whole = ",".join(f"{number}:{end[number]}" for number in sorted(end))
        raise EvaluationError(
            f"--until needs an offset for every partition; partition {min(unnamed)} is missing; "
            f"the log ends at {whole}"
        )
    for number, offset in sorted(until.offsets.items()):
        if not start[number] <= offset <= end[number]:
            raise EvaluationError(
                f"--until {number}:{offset} is outside the log: partition {number} starts at "
                f"{start[number]} and ends at {end[number]}"
            )


@dataclass(slots=True)
class EventCollector:
    """Applies events in the order of their source to get the likes; `until` splits them.

    Train has the likes at the point, after all events before it in the order of the source. Test has
    the likes at the end that did not exist at the point. Users who are forgotten, before or after
    the point, are forgotten in both.
    """

    until: Until | None = None
    _likes: LikeCollector = field(default_factory=LikeCollector)
    _first_ms: int | None = None
    _last_ms: int | None = None

    def add(
        self,
        event: Event,
        time_ms: int | None,
        *,
        position: Position | None = None,
        split: Split | None = None,
    ) -> None:
        """Apply the next event, with its time, its position in the log, and the split in its source.

        Raises:
            InvalidInputError: likes are split at a time, and the event has none.
        """
        if self.until is None:
            self._likes.add(event, Stamp(time_ms, split))
            return
        past = self.until.covers(time_ms, position)
        if time_ms is not None:
            self._first_ms = time_ms if self._first_ms is None else min(self._first_ms, time_ms)
            self._last_ms = time_ms if self._last_ms is None else max(self._last_ms, time_ms)
        told = said(event)
        if told is not None and told.holds is past:
            split = self._likes.split_of(told)
            if split is Split.TRAIN and not told.holds:
                return  # it was liked at the point nevertheless
            if split is Split.TEST and told.holds:
                # The times of events need not follow the order of the log.
                self._likes.remove(told)
        self._likes.add(event, Stamp(time_ms, Split.TRAIN if past else Split.TEST))

    def table(self, target: SignalKind | None = None) -> LikeTable:
        """Return the signals of the target kind after all events, with those of other kinds.

        Raises:
            EvaluationError: there are none of the target kind; or they are split at a point, and there are
                none on one side of it.
        """
        if self.until is None:
            return self._likes.table(target)
        table = self._likes.table(target, divided_by="until")
        found = set() if table.splits is None else set(table.splits.tolist())
        if Split.TRAIN not in found:
            raise EvaluationError(f"there are no likes before {self.until}: {self._reach()}")
        if Split.TEST not in found:
            raise EvaluationError(f"there are no new likes after {self.until}: {self._reach()}")
        return table

    def _reach(self) -> str:
        if self._first_ms is None or self._last_ms is None:
            return "there are no events with a time"
        return f"the events are from {iso_time(self._first_ms)} to {iso_time(self._last_ms)}"


def _parts(text: str) -> list[str]:
    return [one.strip() for one in text.split(",")]
