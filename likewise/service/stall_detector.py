"""Partitions that nobody reads on in, although there is something to read.

Who reads what in a consumer group is agreed between its members and a broker, and either may get it
wrong: a member that waits for an answer that never comes, a share given to one who has died. No
member can see that from its own share, but everyone can see where the group has got to.
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
"""How often to look while patience lasts."""
_LONGEST_SHARE = 0.05
"""The part of the time that looking may take, when brokers answer slowly."""
_MOST_DOUBLINGS = 4
_READ_MS = 1_000
_BARE_FOR = 8
"""Times the patience for which an end is trusted to have no record: a broker may just be slow."""


class _Rest(NamedTuple):
    reached: int | None
    since_s: float
    end: int


class StallDetector:
    """Says in which partitions the group has read no further for too long. Not thread-safe."""

    def __init__(
        self,
        broker: Broker,
        topic: str,
        reached: Callable[[list[TopicPartition]], Iterable[int | None]],
        *,
        patience_s: float,
        rng: random.Random | None = None,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Look at nothing yet.

        `reached` is asked how far the group has got in each partition, None where it never began.
        After `patience_s` without a move (up to half as long again: not all members at once)
        something is wrong. Where joining anew did not help, the next time is twice as far away.
        """
        self._broker = broker
        self._topic = topic
        self._reached = reached
        self._patience_s = patience_s
        self._rng = rng or random.Random()
        self._clock_s = clock_s
        self._rests: dict[TopicPartition, _Rest] = {}
        # Ends before which a reader found no record, and until when that is believed.
        self._bare_ends: dict[TopicPartition, tuple[int, float]] = {}
        self._doublings = 0
        self._limit_s = self._draw_limit_s()
        self._next_look_s = clock_s()

    def partitions(self, *, known: Container[TopicPartition] = ()) -> list[TopicPartition]:
        """Return where it is time to do something; mostly empty at once, now and then after I/O.

        Partitions in `known` have a reason to rest that the caller knows. Never raises for servers
        out of reach or a topic that was just deleted: whatever rests then has its reason too.
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
        """Note since when each partition rests; one that moves, or is read to its end, does not."""
        ends = self._broker.least_ends(self._broker.partitions(self._topic))
        now_s = self._clock_s()
        before, self._rests = self._rests, {}
        for (partition, end), at in zip(ends.items(), self._reached([*ends]), strict=True):
            bare_end, until_s = self._bare_ends.get(partition, (-1, 0.0))
            bare = end == bare_end and now_s < until_s
            if (at or 0) < end and not bare:
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
        """Whether there is a record: the end of a log may be a transaction's mark, or compacted."""
        start = self._broker.beginning_offsets([partition])[partition]
        rest = self._rests[partition]
        with closing(self._broker.reader({partition: max(rest.reached or 0, start)})) as reader:
            found = bool(reader.poll(_READ_MS))
        if not found:
            until_s = self._clock_s() + _BARE_FOR * self._patience_s
            self._bare_ends[partition] = rest.end, until_s
        return found

    def _draw_limit_s(self) -> float:
        return self._patience_s * (1 << self._doublings) * self._rng.uniform(1.0, 1.5)
