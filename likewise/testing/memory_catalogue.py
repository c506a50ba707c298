"""The part of MemoryStore that holds items, scenarios and experiments."""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from itertools import islice, takewhile
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar

from likewise.store.catalogue_port import (
    CHANGES_KEPT,
    NO_CHANGES,
    CatalogueChanges,
    CatalogueSize,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from likewise.messages.ids import ItemId
    from likewise.store.port import Changes

N = TypeVar("N", bound=str)
_CHUNK = 1_000


class _Change(NamedTuple):
    """What changed; `item` is None for a scenario or an experiment."""

    kind: Literal["item", "scenario", "experiment"]
    item: ItemId | None = None


class MemoryCatalogue(ABC):
    """See `likewise.store.catalogue_port.CatalogueStore`, and `ExperimentStore` for the experiments."""

    @abstractmethod
    def _answering(self) -> AbstractContextManager[None]: ...

    def _flush_catalogue(self) -> None:
        self._items: dict[ItemId, bytes] = {}
        self._scenarios: dict[str, bytes] = {}
        self._experiments: dict[str, bytes] = {}
        # By cursor, oldest first.
        self._changes: dict[str, _Change] = {}

    def catalogue_items(self) -> Iterator[list[bytes]]:
        """See `CatalogueStore.catalogue_items`."""
        with self._answering():
            items = list(self._items.values())
        for start in range(0, len(items), _CHUNK):
            yield items[start : start + _CHUNK]

    def catalogue_get(self, items: Sequence[ItemId]) -> list[bytes | None]:
        """See `CatalogueStore.catalogue_get`."""
        with self._answering():
            return [self._items.get(item_id) for item_id in items]

    def catalogue_cursor(self) -> str:
        """See `CatalogueStore.catalogue_cursor`."""
        with self._answering():
            return self._newest_change()

    def catalogue_changes(self, after: str, limit: int) -> CatalogueChanges:
        """See `CatalogueStore.catalogue_changes`."""
        with self._answering():
            if after == NO_CHANGES and not self._changes:
                return CatalogueChanges([], False, False, after)
            if after not in self._changes:
                return CatalogueChanges([], True, True, self._newest_change(), gap=True)
            newer = reversed([*_newer(self._changes, after)])
            changed = dict(islice(newer, limit))
            items = dict.fromkeys(one.item for one in changed.values() if one.item is not None)
            kinds = {one.kind for one in changed.values()}
            cursor = next(reversed(changed), after)
            return CatalogueChanges([*items], "scenario" in kinds, "experiment" in kinds, cursor)

    def catalogue_size(self) -> CatalogueSize:
        """See `CatalogueStore.catalogue_size`."""
        with self._answering():
            return CatalogueSize(len(self._items), len(self._scenarios), len(self._experiments))

    def scenarios(self) -> dict[str, bytes]:
        """See `CatalogueStore.scenarios`."""
        with self._answering():
            return dict(self._scenarios)

    def experiments(self) -> dict[str, bytes]:
        """See `ExperimentStore.experiments`."""
        with self._answering():
            return dict(self._experiments)

    def _newest_change(self) -> str:
        return next(reversed(self._changes), NO_CHANGES)

    def _apply_documents(self, changes: Changes) -> None:
        for item_id in _put(self._items, changes.items):
            self._note_change(_Change("item", item_id))
        for _ in _put(self._scenarios, changes.scenarios):
            self._note_change(_Change("scenario"))
        for _ in _put(self._experiments, changes.experiments):
            self._note_change(_Change("experiment"))

    def _note_change(self, change: _Change) -> None:
        self._changes[secrets.token_hex(8)] = change
        while len(self._changes) > CHANGES_KEPT:
            del self._changes[next(iter(self._changes))]


def _put(stored: dict[N, bytes], documents: Mapping[N, bytes | None]) -> list[N]:
    """Store the documents; return the names of those that have changed."""
    changed = [name for name, value in documents.items() if stored.get(name) != value]
    for name in changed:
        value = documents[name]
        if value is None:
            del stored[name]
        else:
            stored[name] = value
    return changed


def _newer(changes: dict[str, _Change], after: str) -> Iterator[tuple[str, _Change]]:
    """Yield the changes after the cursor, newest first."""
    return takewhile(lambda change: change[0] != after, reversed(changes.items()))
