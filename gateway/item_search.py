"""Search in the catalogue: titles as one types them, categories, and the most liked items.

Nothing is built before the first search. From then on an index of the titles is kept, which is
brought up to date by the titles that have changed when somebody searches.
"""

from __future__ import annotations

import threading
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gateway.search_results import Model, Place, Result, SearchResults, merged
from likewise.catalogue.filters import TITLE
from likewise.catalogue.titles import WITHIN, TitleIndex, changed_rows, normalised, titles_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from likewise.catalogue.columns import Column
    from likewise.catalogue.slots import Rows
    from likewise.catalogue.view import CatalogueView

_FEW_CHANGES = 4_096
_REBUILD_SHARE = 64
_NOTHING = TitleIndex.of(np.zeros(0, np.int32), [])


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
        words, or contain it; an item of the model whose id it is counts as equal. Otherwise all items,
        also those of the model that the catalogue does not have. Those that match equally well are ordered
        by likes in the model.
        """
        found = SearchResults(view, model, self._likes(view, model), category)
        if text is None:
            return found.best(found.everything(), limit, after)
        named = found.named(text)
        query = normalised(text)
        if not query:
            return found.best(named, limit, after)
        titles = self._up_to_date(view)
        rows, kinds = titles.fresh.beginning(query)
        old_rows, old_kinds = titles.base.beginning(query)
        kept = ~np.isin(old_rows, titles.changed)
        begun = found.ordered(
            np.concatenate([old_rows[kept], rows]), np.concatenate([old_kinds[kept], kinds])
        )
        begun = merged(named, begun)
        results = found.best(begun, limit, after)
        if len(results) == limit or len(query) == 1:  # every title has every letter
            return results
        return found.best(merged(begun, found.ordered(*_within(titles, query))), limit, after)

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
