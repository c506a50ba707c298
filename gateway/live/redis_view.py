"""The state of a deployment in Redis, read once a second."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from likewise.errors import SettingsError
from likewise.messages.announcements import valid_announcement
from likewise.messages.quality import combined_quality

if TYPE_CHECKING:
    from collections.abc import Sequence

    from likewise.messages.announcements import Announcement
    from likewise.messages.quality import MeasuredQuality
    from likewise.records import TopicPartition
    from likewise.store.port import Eviction, LikeStore

_REFRESH_S = 5.0


class RedisSeen(NamedTuple):
    """One look at Redis."""

    at_s: float
    positions: dict[TopicPartition, int | None]
    """The offset of the first event of each partition that is not applied yet."""
    announced: Announcement | None
    changed_users: int
    """Users whose likes have changed since the last build, as of the last seconds."""
    eviction: Eviction
    quality: MeasuredQuality | None
    """What consumers have measured, as of the last seconds; None if they do not."""


class RedisView:
    """Looks at the store of a deployment. Blocks; one look at a time."""

    def __init__(self, store: LikeStore) -> None:
        self._store = store
        self._refreshed_s = float("-inf")
        self._changed_users = 0
        self._eviction: Eviction | None = None
        self._qualities: list[bytes] = []

    def look(self, now_s: float, likes: Sequence[TopicPartition]) -> RedisSeen:
        """Return what there is now, with the positions of these partitions.

        Raises:
            TransientError: the store cannot be reached.
        """
        lookup = self._store.lookup([], likes)
        if self._eviction is None or now_s - self._refreshed_s >= _REFRESH_S:
            self._changed_users = self._store.changed_count()
            self._eviction = self._store.eviction()
            with suppress(SettingsError):  # not permitted
                self._qualities = self._store.qualities()
            self._refreshed_s = now_s
        return RedisSeen(
            now_s,
            dict(zip(likes, lookup.positions, strict=True)),
            valid_announcement(lookup.model_announcement),
            self._changed_users,
            self._eviction,
            combined_quality(self._qualities, now_ms=time.time_ns() // 1_000_000),
        )
