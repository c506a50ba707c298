"""The part of RedisStore that reads items and scenarios: hashes in buckets, a stream of changes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from likewise.messages.ids import ItemId
from likewise.store.catalogue_port import NO_CHANGES, CatalogueChanges, CatalogueSize
from likewise.store.redis.documents import EXPERIMENT, ITEM, SCENARIO

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from likewise.store.keys import Keys
    from likewise.store.redis.commands import RedisCommands

_BUCKETS_A_READ = 16
"""Of a million items, a bucket has a thousand: some 5 MB a round trip."""


class RedisCatalogue(ABC):
    """See `likewise.store.catalogue_port.CatalogueStore`."""

    _keys: Keys

    @property
    @abstractmethod
    def _redis(self) -> RedisCommands: ...

    def catalogue_items(self) -> Iterator[list[bytes]]:
        """See `CatalogueStore.catalogue_items`."""
        keys = self._keys.items_buckets()
        for start in range(0, len(keys), _BUCKETS_A_READ):
            reads = [("HVALS", key) for key in keys[start : start + _BUCKETS_A_READ]]
            if items := [item for bucket in self._redis.read_bytes(reads) for item in bucket]:
                yield items

    def catalogue_get(self, items: Sequence[ItemId]) -> list[bytes | None]:
        """See `CatalogueStore.catalogue_get`; one round trip."""
        return self._redis.read_bytes([("HGET", self._keys.items(one), one) for one in items])

    def catalogue_cursor(self) -> str:
        """See `CatalogueStore.catalogue_cursor`."""
        newest = self._redis.run("XREVRANGE", self._keys.catalogue_changes, "+", "-", "COUNT", 1)
        return str(newest[0][0]) if newest else NO_CHANGES

    def catalogue_changes(self, after: str, limit: int) -> CatalogueChanges:
        """See `CatalogueStore.catalogue_changes`.

        The entry at the cursor is read again: if it is missing, entries after it may be, too.
        """
        entries = self._redis.run(
            "XRANGE", self._keys.catalogue_changes, after, "+", "COUNT", limit + 1
        )
        if after == NO_CHANGES and not entries:
            return CatalogueChanges([], False, False, after)
        if not entries or entries[0][0] != after:
            return CatalogueChanges([], True, True, self.catalogue_cursor(), gap=True)
        changed = [change for _, fields in entries[1:] for change in fields.items()]
        items = dict.fromkeys(ItemId(name) for field, name in changed if field == ITEM)
        kinds = {field for field, _ in changed}
        return CatalogueChanges(
            [*items], SCENARIO in kinds, EXPERIMENT in kinds, cursor=entries[-1][0]
        )

    def catalogue_size(self) -> CatalogueSize:
        """See `CatalogueStore.catalogue_size`."""
        keys = [*self._keys.items_buckets(), self._keys.scenarios, self._keys.experiments]
        *items, scenarios, experiments = self._redis.pipeline([("HLEN", key) for key in keys])
        return CatalogueSize(sum(items), scenarios, experiments)

    def scenarios(self) -> dict[str, bytes]:
        """See `CatalogueStore.scenarios`."""
        found: dict[str, str] = self._redis.run("HGETALL", self._keys.scenarios)
        return {name: scenario.encode() for name, scenario in found.items()}
