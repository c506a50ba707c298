"""One state of the catalogue, aligned with the items of one model."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any, Protocol
from zlib import crc32

import numpy as np

from likewise.catalogue.cache import ArrayCache, bytes_of
from likewise.catalogue.columns import Column
from likewise.catalogue.filters import (
    CATEGORIES,
    ITEM_ID,
    PUBLISHED_AT,
    column_name,
    comparisons,
    evaluate,
    id_matches,
)
from likewise.catalogue.parts import Lists, Numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from likewise.catalogue.slots import Mask, Rows
    from likewise.messages.ids import ItemId, ItemRow
    from likewise.messages.where import Compare, Where

_NO_COLUMN = Column()


class Items(Protocol):
    """The items of a model, in its order."""

    @property
    def item_ids(self) -> list[ItemId]:
        """[n] their ids."""

    @property
    def item_rows(self) -> dict[ItemId, ItemRow]:
        """The place of each id."""


@dataclass(frozen=True, slots=True, eq=False)
class Alignment:
    """Where the items of one model are in the catalogue."""

    rows: Rows
    """[n] the row of each item; -1 for those that the catalogue does not have."""
    model: int
    """Different for each model."""
    serial: int = field(default_factory=count(1).__next__)
    """Different for each alignment there ever was."""


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """One state of the catalogue; immutable."""

    version: int
    ids: NDArray[np.object_]
    """[rows] the item of each row; None for a row that is free."""
    columns: Mapping[str, Column]

    def column(self, name: str) -> Column:
        """Return the column of this name, an empty one if no item has such a field."""
        return self.columns.get(name, _NO_COLUMN)


class CatalogueView:
    """Filters and fields of one state of the catalogue, for the items of one model.

    Arrays with one entry for each item of the model [n] are shared and read-only. Thread-safe.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        items: Items,
        alignment: Alignment,
        row_of: Mapping[ItemId, int],
        cache: ArrayCache,
    ) -> None:
        """See `Catalogue.aligned`. `row_of` may be of a later state than the snapshot."""
        self._snapshot = snapshot
        self._size = len(snapshot.ids) + 1  # the last row is that of an item without any field
        self._items = items
        self._alignment = alignment
        self._row_of = row_of
        self._cache = cache

    @property
    def version(self) -> int:
        """Which state of the catalogue this is; later ones have larger numbers."""
        return self._snapshot.version

    @property
    def snapshot(self) -> Snapshot:
        """The state of the catalogue."""
        return self._snapshot

    @property
    def rows(self) -> Rows:
        """The row of each item of the model [n]; -1 for those that the catalogue does not have."""
        return self._alignment.rows

    def mask(self, where: Where) -> Mask:
        """Return which items of the model pass the filter [n]. Cached until one of its fields changes."""
        serials = (self._alignment.serial, *self._serials(where))
        key = (self._alignment.model, where)
        found = self._cache.find(key, serials)
        if found is None:
            found = self._cache.add(key, serials, self._mask(where), bytes_of(where))
        return found

    def groups(self, field: str) -> Rows:
        """Return numbers that are equal for items with equal values of the field [n].

        -1 for items without a value; a list counts as its first element.
        """
        if field == ITEM_ID:
            return np.arange(len(self._items.item_ids), dtype=np.int32)
        column = self._snapshot.column(column_name(field))
        groups: Rows = self._aligned(f"groups {field}", column, lambda: column.groups(self._size))
        return groups

    def categories(self) -> list[tuple[str, int]]:
        """Return every category and how many items name it, those of most items first."""
        lists = self._snapshot.column(CATEGORIES).parts.get(Lists)
        counts = lists.counts() if isinstance(lists, Lists) else {}
        return sorted(counts.items(), key=lambda each: (-each[1], each[0]))

    def published_ms(self) -> NDArray[np.float64]:
        """Return when items were published, in ms since the epoch [n]; NaN where it is not known."""
        column = self._snapshot.column(PUBLISHED_AT)
        times: NDArray[np.float64] = self._aligned("times", column, self._times_ms)
        return times

    def matches(self, where: Where, item_ids: Sequence[ItemId]) -> Mask:
        """Return which of any items pass the filter, whether the model knows them or not."""
        rows = self._rows_of(item_ids)
        if not _names_ids(where):
            return self.passing(where)[rows]
        return evaluate(where, len(rows), lambda one: self._compared(one, rows, item_ids))

    def groups_of(self, field: str, item_ids: Sequence[ItemId]) -> Rows:
        """Return the numbers that `groups` would have for any items, whether the model knows them or not."""
        if field == ITEM_ID:
            n_items = len(self._items.item_ids)
            known = [self._items.item_rows.get(item_id) for item_id in item_ids]
            others = range(n_items, n_items + len(known))
            rows = [other if row is None else row for row, other in zip(known, others, strict=True)]
            return np.array(rows, np.int32)
        groups: Rows = self._snapshot.column(column_name(field)).groups(self._size)
        return groups[self._rows_of(item_ids)]

    def newest(self, where: Where | None = None) -> Iterator[ItemId]:
        """Yield the items of the catalogue that were published and pass the filter, newest first.

        The order is the same on every server, also of those published at the same time.
        """
        order = self._newest_rows()
        if where is not None:
            order = order[self.passing(where)[order]]
        ids = self._snapshot.ids
        return (ids[row] for row in order)

    def _rows_of(self, item_ids: Sequence[ItemId]) -> Rows:
        ids = self._snapshot.ids
        rows = np.full(len(item_ids), -1, np.int32)
        for place, item_id in enumerate(item_ids):
            row = self._row_of.get(item_id, len(ids))
            if row < len(ids) and ids[row] == item_id:  # it was there already in this state
                rows[place] = row
        return rows

    def _mask(self, where: Where) -> Mask:
        rows = self._alignment.rows
        if not _names_ids(where):
            return evaluate(where, self._size, self._on_rows)[rows]
        ids = self._items.item_ids
        return evaluate(where, len(rows), lambda one: self._compared(one, rows, ids))

    def _compared(self, one: Compare, rows: Rows, ids: Sequence[ItemId]) -> Mask:
        if one.field == ITEM_ID:
            return id_matches(one.op, one.value, ids)
        return self._on_rows(one)[rows]

    def _on_rows(self, one: Compare) -> Mask:
        """Return for which rows the comparison holds; the last is that of an item without fields."""
        if one.field == ITEM_ID:
            return id_matches(one.op, one.value, [*self._snapshot.ids, None])
        return self._snapshot.column(column_name(one.field)).matches(one.op, one.value, self._size)

    def passing(self, where: Where) -> Mask:
        """Return which rows pass the filter; the last, which is added, is that of an item without fields."""
        # A filter on ids depends on the items of all rows.
        state = self.version if _names_ids(where) else 0
        serials, key = (self._size, state, *self._serials(where)), ("rows", where)
        found = self._cache.find(key, serials)
        if found is None:
            mask = evaluate(where, self._size, self._on_rows)
            found = self._cache.add(key, serials, mask, bytes_of(where))
        return found

    def _newest_rows(self) -> NDArray[np.intp]:
        column = self._snapshot.column(PUBLISHED_AT)
        found = self._cache.find("newest", (column.serial,))
        if found is None:
            times = self._times_ms()
            rows = np.flatnonzero(~np.isnan(times))
            ids = self._snapshot.ids[rows]
            shuffled = np.fromiter((crc32(one.encode()) for one in ids), np.uint32, len(ids))
            order = rows[np.lexsort((shuffled, -times[rows]))]
            found = self._cache.add("newest", (column.serial,), order)
        return found

    def _times_ms(self) -> NDArray[np.float64]:
        part = self._snapshot.column(PUBLISHED_AT).parts.get(Numbers, Numbers())
        return part.slots.everywhere(self._size)

    def _aligned(self, name: str, column: Column, of_rows: Callable[[], NDArray[Any]]) -> Any:
        serials = (self._alignment.serial, column.serial)
        key = (self._alignment.model, name)
        found = self._cache.find(key, serials)
        if found is None:
            found = self._cache.add(key, serials, of_rows()[self._alignment.rows])
        return found

    def _serials(self, where: Where) -> list[int]:
        names = dict.fromkeys(column_name(one.field) for one in comparisons(where))
        return [self._snapshot.column(name).serial for name in names]


def _names_ids(where: Where) -> bool:
    return any(one.field == ITEM_ID for one in comparisons(where))
