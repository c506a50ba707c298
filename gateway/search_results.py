"""Results of a search: in which order they come, and a page of them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias
from zlib import crc32

import numpy as np

from likewise.catalogue.filters import CATEGORIES
from likewise.catalogue.titles import EXACT
from likewise.messages.ids import ItemId
from likewise.messages.where import Compare

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from likewise.catalogue.slots import Rows
    from likewise.catalogue.view import CatalogueView
    from likewise.messages.ids import ItemRow

Orders: TypeAlias = "NDArray[np.int64]"

_LIKES_BITS = 40
_FREE = -1
_NO_ROW = -1


class Model(Protocol):
    """What a search knows of the model: its items, and how many like each."""

    @property
    def item_ids(self) -> list[ItemId]:
        """[n] its items, with which the view is aligned."""

    @property
    def item_rows(self) -> dict[ItemId, ItemRow]:
        """The place of each."""

    @property
    def item_counts(self) -> NDArray[Any]:
        """[n] how many users like each."""


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


class Candidates(NamedTuple):
    """Rows, or with a negative number the items of the model that have no row; and their orders."""

    rows: NDArray[np.int64]
    orders: Orders


class SearchResults:
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
        self._model_places = model.item_rows
        self._model_counts = model.item_counts
        self._likes = likes

    def ordered(self, rows: Rows, kinds: NDArray[np.int8]) -> Candidates:
        """Return those of the rows that are items of the category, with their orders."""
        inside = rows < len(self._ids)  # the titles may be of a later state of the catalogue
        rows, kinds = rows[inside], kinds[inside]
        if self._passing is not None:
            kept = self._passing[rows]
            rows, kinds = rows[kept], kinds[kept]
        orders = (kinds.astype(np.int64) << _LIKES_BITS) - self._likes[rows]
        return Candidates(rows.astype(np.int64), orders)

    def named(self, item_id: str) -> Candidates:
        """Return the item of the model with this id, if there is one, as an exact match."""
        place = self._model_places.get(ItemId(item_id))
        row = _NO_ROW if place is None else int(self._model_rows[place])
        if row >= 0:
            return self.ordered(np.array([row], np.int32), np.array([EXACT], np.int8))
        there = [] if place is None or self._category is not None else [place]
        return self._only_in_model(np.array(there, np.int64))

    def everything(self) -> Candidates:
        """Return all items of the category, or of catalogue and model."""
        rows = np.arange(len(self._ids), dtype=np.int32)
        catalogue = self.ordered(rows, np.zeros(len(rows), np.int8))
        if self._category is not None:
            return catalogue
        others = self._only_in_model(np.flatnonzero(self._model_rows < 0))
        return Candidates(
            np.concatenate([catalogue.rows, others.rows]),
            np.concatenate([catalogue.orders, others.orders]),
        )

    def _only_in_model(self, places: NDArray[np.int64]) -> Candidates:
        return Candidates(-1 - places, -self._model_counts[places].astype(np.int64))

    def best(self, found: Candidates, limit: int, after: Place | None) -> list[Result]:
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


def merged(one: Candidates, other: Candidates) -> Candidates:
    """Return all candidates, those of both as the first one has them."""
    new = ~np.isin(other.rows, one.rows)
    return Candidates(
        np.concatenate([one.rows, other.rows[new]]), np.concatenate([one.orders, other.orders[new]])
    )
