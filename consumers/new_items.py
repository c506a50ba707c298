"""Likes of items that the current model does not have, so that servers can recommend these items now.

They are written with the batch that they are in: see `serving.new_items`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from consumers.changed_items import changed_items
from likewise.errors import ModelFileError
from likewise.messages.announcements import valid_announcement
from likewise.models.known_items import KnownItems
from likewise.service.logs import get_logger
from likewise.store.recent_port import NewItemChanges

if TYPE_CHECKING:
    from pathlib import Path

    from consumers.stats import ConsumerStats
    from likewise.messages.ids import ItemId
    from likewise.store.port import Changes, LikeStore

# Enough for 10 batches a second: the stream has room for 10,000.
_NEW_LIKES_A_BATCH = 1_000
# Items of the model that were liked lately: testing a set is faster than searching all items.
_ITEMS_SEEN = 32_768


class NewItems:
    """Finds the likes of items that the current model does not have. Not thread-safe.

    Finds none before there is a first model: its build has them all.
    """

    def __init__(self, directory: Path, store: LikeStore, stats: ConsumerStats) -> None:
        self._directory = directory
        self._store = store
        self._stats = stats
        self._log = get_logger()
        self._announcement: bytes | None = None
        self._known: KnownItems | None = None
        self._seen: set[ItemId] = set()

    def follow(self) -> None:
        """Read which items the announced model has, if it is another one.

        Raises:
            TransientError: the store cannot be reached.
        """
        announcement = self._store.model_announcement()
        if announcement == self._announcement:
            return
        self._announcement = announcement
        self._seen.clear()
        if (announced := valid_announcement(announcement)) is None:
            self._known = None
            return
        try:
            self._known = KnownItems.read(self._directory, announced.version)
        except ModelFileError as error:
            self._known = None
            self._log.warning(
                "new items are recommended after the next build only",
                reason=str(error),
                fix="share the indexer's directory (model.directory) with the consumers",
            )

    def note(self, changes: Changes) -> None:
        """Add to the changes which likes and unlikes are of new items: the first 1,000 of each."""
        if (known := self._known) is None:
            return
        found = NewItemChanges()
        for user_id, added, removed in changed_items(changes):
            # The only work if all items are known: one test for each like.
            if not added <= self._seen:
                found.liked += ((item, user_id) for item in self._new(added, known))
            if removed and not removed <= self._seen:
                found.unliked.update(self._new(removed, known))
            if max(len(found.liked), len(found.unliked)) >= _NEW_LIKES_A_BATCH:
                break
        del found.liked[_NEW_LIKES_A_BATCH:]
        if found.liked or found.unliked:
            changes.new_items = found
            self._stats.new_item_likes += len(found.liked)

    def _new(self, items: set[ItemId], known: KnownItems) -> list[ItemId]:
        new = []
        for item_id in items - self._seen:
            if item_id in known:
                self._seen.add(item_id)
            else:
                new.append(item_id)
        if len(self._seen) > _ITEMS_SEEN:
            self._seen.clear()
        return new
