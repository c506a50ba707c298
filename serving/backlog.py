"""Requests that were read and not taken up yet: everybody's turn comes, however many one sends.

A requester is known by where its replies go. Of what has been read, each batch takes one request of
each requester in turn, so that one who floods the topic waits behind its own requests and not
others behind them. The fairness reaches as far as is read ahead.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING

from serving.progress import first_offsets

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from likewise.streams import TopicPartition
    from serving.incoming import Asked

    Requester = tuple[str, int | None]

MAX_BATCHES_AHEAD = 16
MAX_BYTES_AHEAD = 64 * 1024 * 1024


class Backlog:
    """Requests in order of their turns; bounded by `has_room`, which the reader asks before."""

    def __init__(self, batch: int) -> None:
        """`batch` is the most that one poll adds and one `take` gives."""
        self._limit = batch * MAX_BATCHES_AHEAD
        self._queues: OrderedDict[Requester, deque[Asked]] = OrderedDict()
        self._places: set[tuple[TopicPartition, int]] = set()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, place: object) -> bool:
        return place in self._places

    @property
    def has_room(self) -> bool:
        """Whether more may be read."""
        return len(self) < self._limit and self._bytes < MAX_BYTES_AHEAD

    def add(self, asked: Iterable[Asked]) -> None:
        """Put requests behind those of the same requesters."""
        for one in asked:
            self._queues.setdefault(_requester(one), deque()).append(one)
            self._places.add(one.place)
            self._bytes += _size(one)

    def take(self, limit: int) -> list[Asked]:
        """Return up to `limit` requests, one of each requester in turn; they are let go of."""
        taken: list[Asked] = []
        while self._queues and len(taken) < limit:
            requester, queue = self._queues.popitem(last=False)
            taken.append(queue.popleft())
            if queue:
                self._queues[requester] = queue  # its next turn comes after all others'
        for one in taken:
            self._let_go(one)
        return taken

    def keep_only(self, assigned: Collection[TopicPartition]) -> None:
        """Forget the requests of partitions that are another member's now: it reads them again."""
        if all(partition in assigned for partition, _ in self._places):
            return
        kept = [one for queue in self._queues.values() for one in queue if one.place[0] in assigned]
        self._queues.clear()
        self._places.clear()
        self._bytes = 0
        self.add(kept)

    def oldest_offsets(self) -> dict[TopicPartition, int]:
        """Return the lowest offset that is held of each partition of which any is."""
        return first_offsets(self._places)

    def _let_go(self, one: Asked) -> None:
        self._places.discard(one.place)
        self._bytes -= _size(one)


def _requester(asked: Asked) -> Requester:
    return asked.route.topic, asked.route.partition


def _size(asked: Asked) -> int:
    return len(asked.record.value or b"")
