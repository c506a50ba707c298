"""What a consumer writes about the likes of this moment, in addition to the likes: new and trending items."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

from consumers.changed_items import liked_items
from consumers.new_items import NewItems
from consumers.trending import Trending
from likewise.errors import TransientError
from likewise.models.place import models_place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from consumers.batches import Part
    from consumers.stats import ConsumerStats
    from likewise.messages.ids import ItemId
    from likewise.settings import Settings
    from likewise.store.port import Changes, LikeStore

_FOLLOW_EVERY_S = 0.5
_FLUSH_EVERY_S = 1.0
_LONGEST_FLUSH_INTERVAL_S = 10.0
# Reading the items of a model, or adding counts to the store, takes at most this share of the time.
_TIME_SHARE = 0.01


class Recent:
    """What a consumer does for new and trending items; each part only if the settings want it."""

    def __init__(self, settings: Settings, store: LikeStore, stats: ConsumerStats) -> None:
        """Read nothing yet."""
        wants_new = settings.serving.new_item_likes > 0
        self._new_items = NewItems(models_place(settings), store, stats) if wants_new else None
        half_life_s = settings.trending.half_life_s
        self._trending = Trending(store, half_life_s) if half_life_s else None
        self._liked: Counter[ItemId] = Counter()
        self._next_follow_s = self._next_flush_s = 0.0

    def before(self, changes: Changes) -> None:
        """Complete a batch that is about to be applied."""
        if self._new_items is None and self._trending is None:
            return
        self._liked = liked_items(changes)
        if self._new_items is not None:
            self._new_items.note(changes, self._liked)

    def after(self, parts: Sequence[Part]) -> None:
        """Count the batch, which was applied."""
        if self._trending is not None:
            self._trending.count(self._liked, parts)

    def turn(self, *, at_once: bool = False) -> None:
        """Do what is due. A store that cannot be reached is left to the caller's next calls."""
        now_s = time.monotonic()
        with suppress(TransientError):
            if self._new_items is not None and now_s >= self._next_follow_s:
                self._next_follow_s = now_s + _FOLLOW_EVERY_S  # also if it fails
                self._new_items.follow()
                took_s = time.monotonic() - now_s
                self._next_follow_s = now_s + max(took_s / _TIME_SHARE, _FOLLOW_EVERY_S)
            if self._trending is not None and (at_once or now_s >= self._next_flush_s):
                self._next_flush_s = now_s + _FLUSH_EVERY_S  # also if it fails
                began_s = time.monotonic()
                self._trending.flush()
                took_s = time.monotonic() - began_s
                wait_s = min(took_s / _TIME_SHARE, _LONGEST_FLUSH_INTERVAL_S)
                self._next_flush_s = now_s + max(wait_s, _FLUSH_EVERY_S)
