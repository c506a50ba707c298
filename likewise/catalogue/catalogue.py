"""The catalogue: one row for each item, a column for each field. Changed by one thread, read by many."""

from __future__ import annotations

import threading
import weakref
from itertools import count
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from likewise.catalogue.cache import ArrayCache
from likewise.catalogue.columns import Column
from likewise.catalogue.gathering import Gathered, Gathering, Item
from likewise.catalogue.rows import Moves, RowTable
from likewise.catalogue.view import Alignment, CatalogueView, Items, Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from likewise.messages.ids import ItemId

Aligned: TypeAlias = "tuple[weakref.ref[Items], Alignment]"

MAX_LABELS = 10_000
"""Filters know so many names of labels: a name for each item would take a column for each."""
_NOTHING = Gathered()
_MODELS_KEPT = 2
"""A batch may still be ranked with the model before the current one."""


class _State(NamedTuple):
    snapshot: Snapshot
    aligned: tuple[Aligned, ...] = ()
    """The models in use, the newest last, and where their items are in this snapshot."""


class Catalogue:
    """Columns over the items. An answer sees one state of it, as a view. Thread-safe.

    A change copies the columns that it changes, so changes are best applied in batches.
    """

    def __init__(self) -> None:
        """Start without items; takes next to no memory."""
        self._changing = threading.Lock()
        self._rows = RowTable()
        self._state = _State(Snapshot(0, np.zeros(0, np.object_), {}))
        self._models = count(1)
        self._cache = ArrayCache()
        self.labels_ignored = False
        """Whether there were more than `MAX_LABELS` names of labels; filters do not know the rest."""

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self._rows.of)

    def aligned(self, items: Items) -> CatalogueView:
        """Return the current state, aligned with the items of a model.

        The first call for a model takes a tenth of a second for each million items. The catalogue
        keeps no model alive.
        """
        state = self._state
        alignment = _find(state, items)
        if alignment is None:
            with self._changing:
                alignment = _find(self._state, items) or self._align(items)
                state = self._state
        return CatalogueView(state.snapshot, items, alignment, self._rows.of, self._cache)

    def align_as(self, other: Catalogue) -> None:
        """Align this catalogue with the models that the other one is aligned with."""
        for model, _ in other._state.aligned:
            if (items := model()) is not None:
                self.aligned(items)

    def apply(self, items: Iterable[tuple[ItemId, Item | None]]) -> None:
        """Add, replace or, for None, remove these items, each once. Views see all of it or nothing."""
        with self._changing:
            snapshot, aligned = self._state
            moves, gathering = Moves(), Gathering()
            for item_id, item in items:
                if item is None:
                    self._rows.remove(item_id, moves)
                else:
                    gathering.add(self._rows.place(item_id, moves), item)
            ids = _moved_ids(snapshot.ids, self._rows.size, moves)
            columns = self._changed(snapshot.columns, gathering, moves)
            self._state = _State(
                Snapshot(snapshot.version + 1, ids, columns), tuple(_moved(aligned, moves))
            )

    def _align(self, items: Items) -> Alignment:
        row_of = self._rows.of.get
        rows = np.array([row_of(item_id, -1) for item_id in items.item_ids], np.int32)
        alignment = Alignment(rows, next(self._models))
        kept = (*self._state.aligned, (weakref.ref(items), alignment))[-_MODELS_KEPT:]
        self._state = self._state._replace(aligned=kept)
        return alignment

    def _changed(
        self, columns: Mapping[str, Column], gathering: Gathering, moves: Moves
    ) -> dict[str, Column]:
        gathered = dict(gathering.columns())
        emptied = np.array(sorted(moves.emptied), np.int32)
        changed = dict(columns)
        for name in dict.fromkeys([*columns, *gathered] if moves.emptied else gathered):
            if name not in changed and len(changed) >= MAX_LABELS:
                self.labels_ignored = True
                continue
            rows, values = gathered.get(name, _NOTHING).ascending()
            column = changed.get(name, Column()).replaced(emptied, rows, values)
            if column.parts:
                changed[name] = column
            else:
                changed.pop(name, None)
        return changed


def _find(state: _State, items: Items) -> Alignment | None:
    return next((alignment for model, alignment in state.aligned if model() is items), None)


def _moved(aligned: Sequence[Aligned], moves: Moves) -> Iterable[Aligned]:
    """Yield the alignments of the models that are still in use after these moves."""
    for model, alignment in aligned:
        if (items := model()) is None:
            continue
        known = items.item_rows
        places = {known[one]: -1 for one, _ in moves.went if one in known}
        places |= {known[one]: row for one, row in moves.came if one in known}
        if places:
            changed = alignment.rows.copy()
            changed[list(places)] = list(places.values())
            yield model, Alignment(changed, alignment.model)
        else:
            yield model, alignment


def _moved_ids(ids: NDArray[np.object_], size: int, moves: Moves) -> NDArray[np.object_]:
    """Return the id of each row."""
    if not moves.came and not moves.went:
        return ids
    changed = np.full(size, None, np.object_)
    changed[: len(ids)] = ids
    changed[[row for _, row in moves.went]] = None
    for item_id, row in moves.came:
        changed[row] = item_id
    return changed
