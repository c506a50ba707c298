"""Search in the catalogue: titles as one types them, categories, and the most liked items.

Nothing is built before the first search. From then on an index of the titles is kept, which is
brought up to date by the titles that have changed when somebody searches.
"""

from __future__ import annotations

import threading
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias
from zlib import crc32

import numpy as np

from likewise.catalogue.filters import CATEGORIES, TITLE
from likewise.catalogue.titles import WITHIN, TitleIndex, changed_rows, normalised, titles_of
from likewise.messages.where import Compare

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from likewise.catalogue.columns import Column
    from likewise.catalogue.slots import Rows
    from likewise.catalogue.view import CatalogueView
    from likewise.messages.ids import ItemId


class Model(Protocol):
    """What a search knows of the model: its items, and how many like each."""

    @property
    def item_ids(self) -> list[ItemId]:
        """[n] its items, with which the view is aligned."""

    @property
    def item_counts(self) -> NDArray[Any]:
        """[n] how many users like each."""


Orders: TypeAlias = "NDArray[np.int64]"

_FEW_CHANGES = 4_096
_REBUILD_SHARE = 64
_LIKES_BITS = 40
_FREE = -1
_NOTHING = TitleIndex.of(np.zeros(0, np.int32), [])


class Place(NamedTuple):
    """A place in a list of results: an item is after it if its place is larger."""

    order: int
    """How well it matches, then how few like it."""
    hashed: int
    """Of its id, for those that are equal so far: the same on every gateway."""


class Result(NamedTuple):
    """An item that was found, and its place."""

    item_id: ItemId
    place: Place


@dataclass(frozen=True, slots=True)
class _Titles:
    """The titles of one state of the catalogue: those of an earlier one, and those changed since."""

    column: Column
    size: int
    base_column: Column
    base: TitleIndex
    changed: Rows
    fresh: TitleIndex

    def are_of(self, column: Column, size: int) -> bool:
        """Whether these are the titles of this column."""
        return self.column.serial == column.serial and self.size == size


class _Liked(NamedTuple):
    """How many users like the item of each row, for a model and where its items are."""

    model: weakref.ref[Model]
    aligned: Rows
    likes: NDArray[np.int64]


class ItemSearch:
    """Finds items in a view of the catalogue. Thread-safe; pure but for the index that it keeps."""

    def __init__(self, few_changes: int = _FEW_CHANGES) -> None:
        """Build nothing yet. After more than `few_changes`, the whole index is built again."""
        self._few_changes = few_changes
        self._titles: _Titles | None = None
        self._liked: _Liked | None = None
        self._building = threading.Lock()

    def find(
        self,
        view: CatalogueView,
        model: Model,
        *,
        text: str | None = None,
        category: str | None = None,
        limit: int,
        after: Place | None = None,
    ) -> list[Result]:
        """Return up to `limit` items after a place, best first.

        With a text: the titles that are equal to it, begin with it, have a word that does, have all its
        words, or contain it; otherwise all items, also those of the model that the catalogue does not
        have. Those that match equally well are ordered by likes in the model.
        """
        found = _Found(view, model, self._likes(view, model), category)
        if text is None:
            return found.best(found.everything(), limit, after)
        query = normalised(text)
        if not query:
            return []
        titles = self._up_to_date(view)
        rows, kinds = titles.fresh.beginning(query)
        old_rows, old_kinds = titles.base.beginning(query)
        kept = ~np.isin(old_rows, titles.changed)
        begun = found.ordered(
            np.concatenate([old_rows[kept], rows]), np.concatenate([old_kinds[kept], kinds])
        )
        results = found.best(begun, limit, after)
        if len(results) == limit or len(query) == 1:  # every title has every letter
            return results
        return found.best(_merged(begun, found.ordered(*_within(titles, query))), limit, after)

    def _likes(self, view: CatalogueView, model: Model) -> NDArray[np.int64]:
        """Return how many users like the item of each row."""
        known, size = self._liked, len(view.snapshot.ids)
        if (
            known is None
            or known.model() is not model
            or known.aligned is not view.rows
            or len(known.likes) != size
        ):
            likes = np.zeros(size, np.int64)
            there = view.rows >= 0
            likes[view.rows[there]] = model.item_counts[there]
            self._liked = known = _Liked(weakref.ref(model), view.rows, likes)
        return known.likes

    def _up_to_date(self, view: CatalogueView) -> _Titles:
        """Return the titles of this view; older ones while another thread brings them up to date."""
        snapshot = view.snapshot
        column, size = snapshot.column(TITLE), len(snapshot.ids)
        known = self._titles
        if known is not None and (known.are_of(column, size) or self._building.locked()):
            return known
        with self._building:
            known = self._titles
            if known is None or not known.are_of(column, size):
                self._titles = known = _updated(known, column, size, self._few_changes)
            return known


class _Candidates(NamedTuple):
    """Rows, or with a negative number the items of the model that have no row; and their orders."""

    rows: NDArray[np.int64]
    orders: Orders


class _Found:
    """What one search ranks by: the likes of each row, and who is in the category."""

    def __init__(
        self,
        view: CatalogueView,
        model: Model,
        likes: NDArray[np.int64],
        category: str | None,
    ) -> None:
        self._ids = view.snapshot.ids
        self._category = category
        self._passing = (
            None
            if category is None
            else view.passing(Compare(field=CATEGORIES, op="$eq", value=category))
        )
        self._model_rows = view.rows
        self._model_ids = model.item_ids
        self._model_counts = model.item_counts
        self._likes = likes

    def ordered(self, rows: Rows, kinds: NDArray[np.int8]) -> _Candidates:
        """Return those of the rows that are items of the category, with their orders."""
        inside = rows < len(self._ids)  # the titles may be of a later state of the catalogue
        rows, kinds = rows[inside], kinds[inside]
        if self._passing is not None:
            kept = self._passing[rows]
            rows, kinds = rows[kept], kinds[kept]
        orders = (kinds.astype(np.int64) << _LIKES_BITS) - self._likes[rows]
        return _Candidates(rows.astype(np.int64), orders)

    def everything(self) -> _Candidates:
        """Return all items of the category, or of catalogue and model."""
        rows = np.arange(len(self._ids), dtype=np.int32)
        catalogue = self.ordered(rows, np.zeros(len(rows), np.int8))
        if self._category is not None:
            return catalogue
        others = np.flatnonzero(self._model_rows < 0)
        return _merged(
            catalogue, _Candidates(-1 - others, -self._model_counts[others].astype(np.int64))
        )

    def best(self, found: _Candidates, limit: int, after: Place | None) -> list[Result]:
        """Return the first `limit` of the candidates after the place."""
        rows, orders = found
        wanted = limit
        if after is not None:
            kept = orders >= after.order
            rows, orders = rows[kept], orders[kept]
            wanted += int(np.count_nonzero(orders == after.order))
        while True:
            near = rows, orders
            if len(rows) > wanted:
                kept = orders <= np.partition(orders, wanted - 1)[wanted - 1]
                near = rows[kept], orders[kept]
            results = self._results(*near, limit, after)
            if len(results) == limit or len(near[0]) == len(rows):
                return results
            wanted *= 2  # some rows are free

    def _results(
        self, rows: NDArray[np.int64], orders: Orders, limit: int, after: Place | None
    ) -> list[Result]:
        """Return the first `limit` of all these after the place."""
        ids = [self._ids[row] if row >= 0 else self._model_ids[-1 - row] for row in rows.tolist()]
        hashed = np.array([_FREE if one is None else crc32(one.encode()) for one in ids], np.int64)
        wanted = hashed != _FREE
        if after is not None:
            wanted &= (orders > after.order) | (hashed > after.hashed)
        places = np.flatnonzero(wanted)
        best = places[np.lexsort((hashed[places], orders[places]))[:limit]].tolist()
        return [Result(ids[at], Place(int(orders[at]), int(hashed[at]))) for at in best]


def _updated(known: _Titles | None, column: Column, size: int, few_changes: int) -> _Titles:
    """Return the titles of this column, from the index that there is if few have changed since."""
    changed = None if known is None else changed_rows(known.base_column, column, size)
    if known is None or changed is None or len(changed) > max(few_changes, size // _REBUILD_SHARE):
        base = TitleIndex.of(*titles_of(column))
        return _Titles(column, size, column, base, np.zeros(0, np.int32), _NOTHING)
    fresh = TitleIndex.of(*titles_of(column, changed))
    return _Titles(column, size, known.base_column, known.base, changed, fresh)


def _within(titles: _Titles, query: bytes) -> tuple[Rows, NDArray[np.int8]]:
    old = titles.base.within(query)
    rows = np.concatenate([old[~np.isin(old, titles.changed)], titles.fresh.within(query)])
    return rows, np.full(len(rows), WITHIN, np.int8)


def _merged(one: _Candidates, other: _Candidates) -> _Candidates:
    """Return all candidates, those of both as the first one has them."""
    new = ~np.isin(other.rows, one.rows)
    return _Candidates(
        np.concatenate([one.rows, other.rows[new]]), np.concatenate([one.orders, other.orders[new]])
    )
