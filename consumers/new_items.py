"""Likes of items that the current model does not have, so that servers can recommend these items now.

They are written with the batch that they are in: see `serving.new_items`.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from consumers.changed_items import likes_of, unliked_items
from consumers.model_items import ModelItems
from likewise.errors import ModelFileError
from likewise.messages.announcements import valid_announcement
from likewise.service.logs import get_logger
from likewise.store.recent_port import NewItemChanges

if TYPE_CHECKING:
    from collections.abc import Collection

    from consumers.stats import ConsumerStats
    from likewise.messages.ids import ItemId
    from likewise.models.known_items import KnownItems
    from likewise.models.place import Place
    from likewise.store.port import Changes, LikeStore

# Enough for 10 batches a second: the stream has room for 10,000.
_NEW_LIKES_A_BATCH = 1_000
# Items of the model that were liked lately: a set of strings is faster than the table of all items.
_ITEMS_SEEN = 32_768


class NewItems:
    """Finds the likes of items that the current model does not have. Not thread-safe.

    Finds none before there is a first model: its build has them all.
    """

    def __init__(self, place: Place, store: LikeStore, stats: ConsumerStats) -> None:
        self._items = ModelItems(place)
        self._store = store
        self._stats = stats
        self._log = get_logger()
        self._announcement: bytes | None = None
        self._known: KnownItems | None = None
        self._wanted: str | None = None
        self._seen: set[ItemId] = set()
        self._warned = False

    def follow(self) -> None:
        """Read which items the announced model has, if it is another one.

        Raises:
            TransientError: the store cannot be reached.
        """
        announcement = self._store.model_announcement()
        if announcement != self._announcement:
            self._announcement = announcement
            announced = valid_announcement(announcement)
            self._wanted = None if announced is None else announced.version
            if announced is None:
                self._known = None
        if self._wanted is not None:
            self._read(self._wanted)

    def _read(self, version: str) -> None:
        try:
            found = self._items.read(version)
        except ModelFileError as error:
            self._known = self._wanted = None
            if not self._warned:  # this deployment may have no shared directory, and want none
                self._warned = True
                self._log.warning(
                    "new items are recommended after the next build only",
                    reason=str(error),
                    fix="share the indexer's directory (model.directory) with the consumers",
                )
        else:
            if found is not None:  # until then, those of the model before are better than none
                self._known, self._wanted = found, None
                self._seen.clear()

    def note(self, changes: Changes, liked: Collection[ItemId]) -> None:
        """Add to the changes which likes and unlikes are of new items: up to 1,000 of each.

        `liked` are the items that the changes add. Each item is looked up once.
        """
        if (known := self._known) is None:
            return
        found = NewItemChanges()
        if new := self._new(liked, known):
            found.liked += islice(likes_of(changes, new), _NEW_LIKES_A_BATCH)
        if new := self._new(unliked_items(changes), known):
            found.unliked.update(islice(new, _NEW_LIKES_A_BATCH))
        if found.liked or found.unliked:
            changes.new_items = found
            self._stats.new_item_likes += len(found.liked)

    def _new(self, items: Collection[ItemId], known: KnownItems) -> list[ItemId]:
        seen = self._seen
        new = []
        for item_id in [item for item in items if item not in seen]:
            if item_id in known:
                seen.add(item_id)
            else:
                new.append(item_id)
        if len(seen) > _ITEMS_SEEN:
            seen.clear()
        return new
