"""Counts of recent likes by item, for the source `trending`.

They are added to the store at most once a second, and not with the batches: a crash loses the counts
since then, and no like. Every like counts when its batch is applied; unlikes subtract nothing.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from likewise.errors import LikewiseError, TransientError
from likewise.messages.events import Like
from likewise.service.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from consumers.batches import Part
    from likewise.messages.ids import ItemId
    from likewise.records import Record
    from likewise.store.port import LikeStore

_ITEMS_PENDING = 200_000
# Likes are counted as if made in the middle of such a part of the half-life.
_TIMES_A_HALF_LIFE = 32
# After this many half-lives a like counts less than a millionth.
_MOST_HALF_LIVES = 20


class Trending:
    """Counts likes by item, and adds the counts to those in the store. Not thread-safe."""

    def __init__(
        self,
        store: LikeStore,
        half_life_s: float,
        clock_s: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._half_life_ms = max(round(1000 * half_life_s), 1)
        self._step_ms = max(self._half_life_ms // _TIMES_A_HALF_LIFE, 1)
        self._clock_s = clock_s
        # By time, in steps; nearly always there is only one.
        self._pending: dict[int, Counter[ItemId]] = {}
        self._is_off = False

    def count(self, liked: Counter[ItemId], parts: Sequence[Part]) -> None:
        """Count the likes of a batch that was applied. `liked` has an item once for each user."""
        if self._is_off or not any(part.records for part in parts):
            return
        steps = [self._step(record.timestamp) for record in _outermost(parts)]
        if min(steps) == max(steps):
            self._at(steps[0]).update(liked)
        else:
            self._count_by_time(parts)
        if sum(map(len, self._pending.values())) > _ITEMS_PENDING:  # after a long outage
            self._pending.clear()

    def flush(self) -> None:
        """Add what was counted to the store. It stays counted if the store cannot be reached.

        Raises:
            TransientError: the store cannot be reached.
        """
        now_ms = self._now_ms()
        while self._pending and not self._is_off:
            step, likes = next(iter(self._pending.items()))
            at_ms = min(round((step + 0.5) * self._step_ms), now_ms)
            try:
                if now_ms - at_ms < _MOST_HALF_LIVES * self._half_life_ms:
                    self._store.count_trending(
                        likes, at_ms=at_ms, now_ms=now_ms, half_life_ms=self._half_life_ms
                    )
            except TransientError:
                raise
            except LikewiseError as error:
                self._is_off = True
                get_logger().error("trending items are no longer counted", reason=str(error))
            del self._pending[step]

    def _count_by_time(self, parts: Iterable[Part]) -> None:
        for part in parts:
            for event, record in zip(part.events, part.records, strict=True):
                if isinstance(event, Like):
                    self._at(self._step(record.timestamp))[event.item_id] += 1

    def _at(self, step: int) -> Counter[ItemId]:
        counter = self._pending.get(step)
        if counter is None:
            counter = self._pending[step] = Counter()
        return counter

    def _step(self, timestamp_ms: int) -> int:
        now_ms = self._now_ms()
        oldest_ms = now_ms - (_MOST_HALF_LIVES + 1) * self._half_life_ms
        at_ms = min(max(timestamp_ms, oldest_ms), now_ms) if timestamp_ms > 0 else now_ms
        return at_ms // self._step_ms

    def _now_ms(self) -> int:
        return round(1000 * self._clock_s())


def _outermost(parts: Iterable[Part]) -> Iterator[Record]:
    for part in parts:
        if part.records:
            yield part.records[0]
            yield part.records[-1]
