"""Rows of links between items: ``S = R'R`` block by block, and what is left of each row when it is cut."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import chain, pairwise
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
from scipy import sparse

from indexer.gram import cores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from likewise.ranking.array_types import CsrMatrix, FloatArray

    Columns = NDArray[np.int32]

ROWS_AT_ONCE = 64
"""Rows that a thread holds at a time; bounds memory where they are nearly dense."""


class SparsePart(NamedTuple):
    """Item-item links, a row an item."""

    links: CsrMatrix
    """CSR [n, n] float32."""
    plain: NDArray[np.bool_]
    """[n] which rows are of ``R'R`` itself; others are of what the factors leave of it."""


class Row(NamedTuple):
    """What is left of a row of links."""

    columns: Columns
    values: FloatArray
    plain: bool


class Cut(Protocol):
    """Cuts a row of ``R'R``: from its number, columns and values to what is left."""

    def __call__(self, row: int, columns: Columns, values: FloatArray, /) -> Row: ...


def cut_rows(normalised: CsrMatrix, cut: Cut, keep: int) -> SparsePart:
    """Return what `cut` leaves of each row of ``R'R``: `keep` entries at most, none on the diagonal."""
    by_item = normalised.T.tocsr()

    def cut_some(first: int) -> list[Row]:
        return cut_block(by_item[first : first + ROWS_AT_ONCE] @ normalised, first, cut)

    return collected(normalised.shape[1], keep, cut_some)


def cut_block(block: CsrMatrix, first: int, cut: Cut) -> list[Row]:
    """Return what `cut` leaves of these rows of ``R'R``, the rows from `first` on."""
    places = pairwise(block.indptr.tolist())
    return [
        cut(row, block.indices[begin:end], block.data[begin:end])
        for row, (begin, end) in enumerate(places, first)
    ]


def collected(n_items: int, keep: int, cut_some: Callable[[int], list[Row]]) -> SparsePart:
    """Return the rows that `cut_some` returns for each block, in order: `ROWS_AT_ONCE` from a number on.

    None has more than `keep` entries. One thread per core, each on a block: SciPy and NumPy release the GIL.
    """
    with ThreadPoolExecutor(cores()) as threads:
        blocks = threads.map(cut_some, range(0, n_items, ROWS_AT_ONCE))
        return joined(n_items, keep, chain.from_iterable(blocks))


def joined(n_items: int, keep: int, rows: Iterable[Row]) -> SparsePart:
    """Return the sparse part with these rows, one an item, none with more than `keep` entries."""
    # Allocated for all rows; only pages that are written take memory, and nothing is copied at the end.
    columns, values = np.empty(n_items * keep, np.int32), np.empty(n_items * keep, np.float32)
    plain, ends = np.zeros(n_items, np.bool_), [0]
    for number, row in enumerate(rows):
        place = slice(ends[-1], ends[-1] + len(row.columns))
        columns[place], values[place], plain[number] = row
        ends.append(place.stop)
    kept = (values[: ends[-1]], columns[: ends[-1]], np.array(ends))
    matrix = sparse.csr_array(kept, shape=(n_items, n_items))
    matrix.sort_indices()
    return SparsePart(matrix, plain)


def gram_of(rows: CsrMatrix) -> FloatArray:
    """Return ``X X'`` of X, CSR [k, l]: dense float32 [k, k]."""
    size = rows.shape[0]
    gram = np.empty((size, size), np.float32)
    columns = rows.T.tocsr()
    for first in range(0, size, ROWS_AT_ONCE):
        some = slice(first, first + ROWS_AT_ONCE)
        gram[some] = (rows[some] @ columns).toarray()
    return gram
