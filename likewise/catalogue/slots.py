"""One number for each row that has one: the storage that all columns are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Mask: TypeAlias = NDArray[np.bool_]
Rows: TypeAlias = NDArray[np.int32]

_ROW_BYTES = 4


@dataclass(frozen=True, slots=True, eq=False)
class Slots:
    """The numbers of one dtype by row; immutable, so that any thread may read it.

    A row without a number has NaN, or -1 where numbers are integers from 0. A field that few items
    have must not take memory for all of them: then only the rows with a number are stored.
    """

    values: NDArray[Any]
    """[k] the stored numbers."""
    rows: Rows | None = None
    """[k] the rows of the numbers, ascending; None if number i belongs to row i."""

    @classmethod
    def empty(cls, dtype: type[np.generic]) -> Slots:
        """Return slots without a number."""
        return cls(np.zeros(0, dtype), np.zeros(0, np.int32))

    @property
    def present(self) -> Mask:
        """[k] which of the stored numbers are numbers."""
        return present(self.values)

    def at(self, rows: Rows) -> NDArray[Any]:
        """Return the numbers of these rows, in order."""
        found = absent(len(rows), self.values.dtype)
        if self.rows is None:
            stored = rows < len(self.values)
            found[stored] = self.values[rows[stored]]
        elif len(self.rows):
            places = np.minimum(np.searchsorted(self.rows, rows), len(self.rows) - 1)
            stored = self.rows[places] == rows
            found[stored] = self.values[places[stored]]
        return found

    def replaced(self, rows: Rows, values: NDArray[Any]) -> Slots:
        """Return slots in which these rows, ascending, have these numbers; `self` if they do now."""
        if np.array_equal(self.at(rows), values, equal_nan=values.dtype.kind == "f"):
            return self
        if self.rows is None and rows[0] == len(self.values) and rows[-1] - rows[0] < len(rows):
            return Slots(np.concatenate([self.values, values]))  # as items are loaded
        if self.rows is None:
            return _overwritten(self.values, rows, values)._in_least_space()
        return _inserted(self.values, self.rows, rows, values)._in_least_space()

    def everywhere(self, size: int) -> NDArray[Any]:
        """Return the numbers of the rows below `size`: all rows that have one are."""
        return self.spread(self.values, absent(size, self.values.dtype))

    def spread(self, stored: NDArray[Any], onto: NDArray[Any]) -> NDArray[Any]:
        """Return `onto` [rows] with what was computed of the stored numbers [k] at their rows."""
        onto[slice(len(stored)) if self.rows is None else self.rows] = stored
        return onto

    def _in_least_space(self) -> Slots:
        """Return the same slots in the form that takes fewer bytes."""
        width = self.values.itemsize
        if self.rows is None:
            there = self.present
            if 2 * np.count_nonzero(there) * (width + _ROW_BYTES) < len(self.values) * width:
                return Slots(self.values[there], np.flatnonzero(there).astype(np.int32))
        elif len(self.rows):
            size = int(self.rows[-1]) + 1
            if len(self.rows) * (width + _ROW_BYTES) > size * width:
                return Slots(self.everywhere(size))
        return self


def _overwritten(values: NDArray[Any], rows: Rows, new: NDArray[Any]) -> Slots:
    changed = absent(max(len(values), int(rows[-1]) + 1), values.dtype)
    changed[: len(values)] = values
    changed[rows] = new
    return Slots(changed)


def _inserted(values: NDArray[Any], at: Rows, rows: Rows, new: NDArray[Any]) -> Slots:
    kept, there = ~np.isin(at, rows, assume_unique=True), present(new)
    all_rows = np.concatenate([at[kept], rows[there]])
    order = np.argsort(all_rows, kind="stable")
    return Slots(np.concatenate([values[kept], new[there]])[order], all_rows[order])


def absent(size: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return an array that says of each of its rows that there is no number."""
    return np.full(size, np.nan if dtype.kind == "f" else -1, dtype)


def present(values: NDArray[Any]) -> Mask:
    """Return which of these are numbers."""
    there: Mask = values == values if values.dtype.kind == "f" else values >= 0  # NaN is not itself
    return there
