"""Detects partitions that have records to read but make no progress.

The members of a consumer group and its broker agree on who reads which partition, and any of them
may get it wrong: a member waits for an answer that never comes, or a partition belongs to a member
that has died. No member sees that in its own partitions, but every member can compare the group's
progress with the ends of the log.
"""

from __future__ import annotations

import random
import time
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

from likewise.errors import TransientError, UndeliverableError

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable

    from likewise.log.port import Broker
    from likewise.records import TopicPartition

_LOOKS = 4
"""Checks per `patience_s`."""
_LONGEST_SHARE = 0.05
"""The share of all time that checks may take when brokers answer slowly."""
_MOST_DOUBLINGS = 4
_READ_MS = 1_000
_EMPTY_FOR = 8
"""For this many times `patience_s` an end stays known to have no record; the broker may be slow."""


class _Rest(NamedTuple):
    reached: int | None
    since_s: float
    end: int


class StallDetector:
    """Finds the partitions in which a group makes no progress for too long. Not thread-safe."""

    def __init__(
        self,
        broker: Broker,
        topics: tuple[str, ...],
        reached: Callable[[list[TopicPartition]], Iterable[int | None]],
        *,
        patience_s: float,
        rng: random.Random | None = None,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Check nothing yet.

        `reached` returns the group's position in each partition, None before the first. A partition
        is stalled after `patience_s` without a move; a random half as much is added, so that not
        all members act at once. The time doubles after each stall, until nothing is stalled.
        """
        self._broker = broker
        self._topics = topics
        self._reached = reached
        self._patience_s = patience_s
        self._rng = rng or random.Random()
        self._clock_s = clock_s
        self._rests: dict[TopicPartition, _Rest] = {}
        # Ends before which a reader found no record, and until when to believe that.
        self._empty_ends: dict[TopicPartition, tuple[int, float]] = {}
        self._doublings = 0
        self._limit_s = self._draw_limit_s()
        self._next_look_s = clock_s()

    def partitions(self, *, known: Container[TopicPartition] = ()) -> list[TopicPartition]:
        """Return the stalled partitions; mostly none, without I/O. Checks only now and then.

        `known` are partitions that rest for a reason that the caller knows. While a server cannot
        be reached, or the topic was just deleted, nothing counts as stalled.
        """
        if self._clock_s() < self._next_look_s:
            return []
        started_s = self._clock_s()
        resting: list[TopicPartition] = []
        try:
            self._look()
            resting = [p for p in self._overdue() if p not in known and self._readable(p)]
        except (TransientError, UndeliverableError):
            self._rests.clear()
        took_s = self._clock_s() - started_s
        wait_s = max(self._patience_s / _LOOKS, took_s / _LONGEST_SHARE)
        self._next_look_s = self._clock_s() + wait_s
        if resting:
            self._doublings = min(self._doublings + 1, _MOST_DOUBLINGS)
            self._limit_s = self._draw_limit_s()
            self._rests.clear()
        return resting

    def _look(self) -> None:
        """Note since when each partition rests: it has not moved, and is not at its end."""
        partitions = [one for topic in self._topics for one in self._broker.partitions(topic)]
        ends = self._broker.least_ends(partitions)
        now_s = self._clock_s()
        before, self._rests = self._rests, {}
        for (partition, end), at in zip(ends.items(), self._reached([*ends]), strict=True):
            empty_end, until_s = self._empty_ends.get(partition, (-1, 0.0))
            is_empty = end == empty_end and now_s < until_s
            if (at or 0) < end and not is_empty:
                rest = before.get(partition)
                same = rest is not None and rest.reached == at
                self._rests[partition] = _Rest(at, rest.since_s if rest and same else now_s, end)
        if not self._rests:
            self._doublings = 0
            self._limit_s = self._draw_limit_s()

    def _overdue(self) -> list[TopicPartition]:
        now_s = self._clock_s()
        return [p for p, rest in self._rests.items() if now_s - rest.since_s >= self._limit_s]

    def _readable(self, partition: TopicPartition) -> bool:
        """Whether there is a record: what is left may be transaction markers, or compacted."""
        start = self._broker.beginning_offsets([partition])[partition]
        rest = self._rests[partition]
        with closing(self._broker.reader({partition: max(rest.reached or 0, start)})) as reader:
            found = bool(reader.poll(_READ_MS))
        if not found:
            until_s = self._clock_s() + _EMPTY_FOR * self._patience_s
            self._empty_ends[partition] = rest.end, until_s
        return found

    def _draw_limit_s(self) -> float:
        return self._patience_s * (1 << self._doublings) * self._rng.uniform(1.0, 1.5)
