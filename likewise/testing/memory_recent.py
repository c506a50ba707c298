"""The part of MemoryStore for what was liked lately."""

from __future__ import annotations

from abc import ABC, abstractmethod
from itertools import islice
from typing import TYPE_CHECKING

from likewise.store.recent_port import NEW_LIKES_KEPT, TRENDING_KEPT, NewLike, NewLikes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from likewise.messages.ids import ItemId
    from likewise.store.port import Changes


class MemoryRecent(ABC):
    """See `likewise.store.recent_port.RecentStore`."""

    @abstractmethod
    def _answering(self) -> AbstractContextManager[None]: ...

    def _flush_recent(self) -> None:
        self._new_likes: dict[int, NewLike] = {}
        self._last_new_like = 0
        self._trending: dict[ItemId, float] = {}  # as of `_counted_at_ms`
        self._counted_at_ms, self._half_life_ms = 0, 1
        self._qualities: dict[int, bytes] = {}

    def new_likes(self, after: str, limit: int) -> NewLikes:
        """See `RecentStore.new_likes`."""
        with self._answering():
            start = _number(after)
            gap = start > self._last_new_like
            start = 0 if gap else start
            newer = ((at, like) for at, like in self._new_likes.items() if at > start)
            found = dict(islice(newer, limit))
            cursor = next(reversed(found), start)
            return NewLikes([*found.values()], f"0-{cursor}", gap)

    def count_trending(
        self, likes: Mapping[ItemId, int], *, at_ms: int, now_ms: int, half_life_ms: int
    ) -> None:
        """See `RecentStore.count_trending`."""
        with self._answering():
            self._trending = self._decayed(now_ms)
            self._counted_at_ms, self._half_life_ms = now_ms, half_life_ms
            weight = 2.0 ** ((at_ms - now_ms) / half_life_ms)
            for item_id, count in likes.items():
                self._trending[item_id] = self._trending.get(item_id, 0.0) + weight * count
            self._trending = dict(_highest(self._trending, TRENDING_KEPT))

    def trending(self, limit: int, *, now_ms: int) -> list[tuple[ItemId, float]]:
        """See `RecentStore.trending`."""
        with self._answering():
            return _highest(self._decayed(now_ms), limit)

    def note_quality(self, slot: int, measured: bytes) -> None:
        """See `RecentStore.note_quality`."""
        with self._answering():
            self._qualities[slot] = measured

    def qualities(self) -> list[bytes]:
        """See `RecentStore.qualities`."""
        with self._answering():
            return [*self._qualities.values()]

    def _decayed(self, now_ms: int) -> dict[ItemId, float]:
        weight = 2.0 ** ((self._counted_at_ms - now_ms) / self._half_life_ms)
        return {item_id: weight * count for item_id, count in self._trending.items()}

    def _apply_new_likes(self, changes: Changes) -> None:
        forgotten = {user for user, change in changes.users.items() if change.forget}
        forgotten |= {user for user, state in changes.scattered.items() if state.forget}
        theirs = [at for at, like in self._new_likes.items() if like.user_id in forgotten]
        for item_id in {self._new_likes.pop(at).item_id for at in theirs}:
            self._add_new_like(NewLike(item_id, None))
        if changes.new_items is not None:
            for item_id, user_id in changes.new_items.liked:
                self._add_new_like(NewLike(item_id, user_id))
            for item_id in changes.new_items.unliked:
                self._add_new_like(NewLike(item_id, None))

    def _add_new_like(self, like: NewLike) -> None:
        self._last_new_like += 1
        self._new_likes[self._last_new_like] = like
        if len(self._new_likes) > NEW_LIKES_KEPT:
            del self._new_likes[next(iter(self._new_likes))]


def _highest(counts: Mapping[ItemId, float], limit: int) -> list[tuple[ItemId, float]]:
    return sorted(counts.items(), key=lambda pair: (pair[1], pair[0]), reverse=True)[:limit]


def _number(cursor: str) -> int:
    return int(cursor.partition("-")[2])
