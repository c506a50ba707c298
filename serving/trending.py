"""The items with the most recent likes, read from the store at most once a second, and only if asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likewise.errors import ForeignDataError, SettingsError
from likewise.service.logs import get_logger
from likewise.store.recent_port import TRENDING_KEPT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from likewise.messages.ids import ItemId
    from likewise.store.port import LikeStore

_READ_EVERY_MS = 1_000


class TrendingItems:
    """Reads trending items, and keeps them for a second. Not thread-safe."""

    def __init__(self, store: LikeStore) -> None:
        self._store = store
        self._items: Sequence[tuple[ItemId, float]] = ()
        self._read_at_ms: int | None = None

    def items(self, now_ms: int) -> Sequence[tuple[ItemId, float]]:
        """Return the items and how many recent likes each has, most first; none if they are not ours.

        Raises:
            TransientError: the store cannot be reached. Calling again is safe.
        """
        if self._read_at_ms is None or abs(now_ms - self._read_at_ms) >= _READ_EVERY_MS:
            try:
                self._items = self._store.trending(TRENDING_KEPT, now_ms=now_ms)
            except (ForeignDataError, SettingsError) as error:
                get_logger().error("trending items cannot be read", reason=str(error))
                self._items = ()
            self._read_at_ms = now_ms
        return self._items
