"""The sparse part of a model: item-item co-occurrence, or what the factors leave of it.

``S = R'R`` is far too dense to keep, so each row is cut to its strongest entries. A blend takes from S
what the factors already hold, and its rows can be cut in two forms:

- the rest: the factors' share is taken off first. Right for items liked together with nearly all others;
  it loses the factors' share of all pairs that never occur together, each small, of which sparse data has many.
- plain: S as it is, and the model subtracts the factors' share for users who like the item
  (`likewise.ranking.blend`). Loses nothing at all of a row short enough to be kept whole.

Each row is kept in the form that loses less energy, the sum of squares of what is cut.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import chain, pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import sparse

from indexer.gram import cores, row_parts
from likewise.ranking.array_types import empty_matrix
from likewise.ranking.top import largest_places

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from likewise.ranking.array_types import CsrMatrix, FloatArray

    Columns = NDArray[np.int32]
    Cut = Callable[[int, Columns, FloatArray], "Row"]

ROWS_AT_ONCE = 64
"""Rows that a thread holds at a time; bounds memory where they are nearly dense."""
# Entries of S considered for each entry kept: only for these is the factors' share computed.
_LOOK_AT = 4


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


def no_links(n_items: int) -> SparsePart:
    """Return the sparse part of a model without one."""
    return SparsePart(empty_matrix(n_items, n_items), np.zeros(n_items, np.bool_))


def cooccurrence(normalised: CsrMatrix, *, keep: int) -> SparsePart:
    """Return ``R'R`` without its diagonal, the `keep` largest entries of each row.

    `normalised` is R, CSR [m, n].
    """

    def cut(row: int, columns: Columns, values: FloatArray) -> Row:
        return Row(*_strongest(row, columns, values, keep), plain=True)

    return _cut_rows(normalised, cut, keep)


def residual(
    normalised: CsrMatrix, eigenvalues: FloatArray, vectors: FloatArray, *, keep: int
) -> SparsePart:
    """Return what the factors leave of ``R'R`` off its diagonal, `keep` entries of each row.

    A row of ``R'R`` itself where that loses less; else one of ``R'R - V diag(e) V'``: its largest
    entries by absolute value, of those where R'R is large. Where R'R is zero both are.
    `eigenvalues` [d] and `vectors` [n, d] are the largest of R'R.
    """
    gained = _energies_gained(normalised, eigenvalues, vectors)

    def cut(row: int, columns: Columns, values: FloatArray) -> Row:
        near, strong = _strongest(row, columns, values, _LOOK_AT * keep)
        if len(strong) <= keep:
            return Row(near, strong, plain=True)
        rest = strong - vectors.take(near, axis=0) @ (vectors[row] * eigenvalues)
        largest = largest_places(rest, keep)
        kept = rest[largest]
        # How much a plain row has to keep to lose less; even all entries considered seldom reach it.
        needed = kept @ kept - gained[row]
        if strong @ strong > needed:
            largest_plain = largest_places(strong, keep)
            kept_plain = strong[largest_plain]
            if kept_plain @ kept_plain > needed:
                return Row(near[largest_plain], kept_plain, plain=True)
        return Row(near[largest], kept, plain=False)

    return _cut_rows(normalised, cut, keep)


def _energies_gained(
    normalised: CsrMatrix, eigenvalues: FloatArray, vectors: FloatArray
) -> FloatArray:
    """Return the growth of each row's off-diagonal energy when the factors' share is subtracted.

    Since ``S V = V diag(e)`` the energy of a whole row i falls by the sum of ``(V_id e_d)^2``; what is
    on the diagonal falls from ``S_ii`` to ``S_ii - sum of V_id^2 e_d``. Float32 [n].
    """
    on_diagonal = np.zeros(len(vectors))
    for part in row_parts(normalised):
        on_diagonal += np.bincount(part.indices, part.data**2, minlength=len(vectors))
    held, taken = (
        np.einsum("id,id,d->i", vectors, vectors, weights)
        for weights in (eigenvalues, eigenvalues**2)
    )
    gained: FloatArray = (on_diagonal**2 - (on_diagonal - held) ** 2 - taken).astype(np.float32)
    return gained


def _cut_rows(normalised: CsrMatrix, cut: Cut, keep: int) -> SparsePart:
    """Return what `cut` leaves of each row of ``R'R``: `keep` entries at most, none on the diagonal."""
    n_items = normalised.shape[1]
    by_item = normalised.T.tocsr()

    def cut_some(first: int) -> list[Row]:
        some = by_item[first : first + ROWS_AT_ONCE] @ normalised
        places = pairwise(some.indptr.tolist())
        return [
            cut(row, some.indices[begin:end], some.data[begin:end])
            for row, (begin, end) in enumerate(places, first)
        ]

    return collected(n_items, keep, cut_some)


def collected(n_items: int, keep: int, cut_some: Callable[[int], list[Row]]) -> SparsePart:
    """Return the rows that `cut_some` returns for each block, in order: `ROWS_AT_ONCE` from a number on.

    None has more than `keep` entries. One thread per core, each on a block: SciPy and NumPy release the GIL.
    """
    # Allocated for all rows; only pages that are written take memory, and nothing is copied at the end.
    columns, values = np.empty(n_items * keep, np.int32), np.empty(n_items * keep, np.float32)
    plain, ends = np.zeros(n_items, np.bool_), [0]
    with ThreadPoolExecutor(cores()) as threads:
        blocks = threads.map(cut_some, range(0, n_items, ROWS_AT_ONCE))
        for number, row in enumerate(chain.from_iterable(blocks)):
            place = slice(ends[-1], ends[-1] + len(row.columns))
            columns[place], values[place], plain[number] = row
            ends.append(place.stop)
    kept = (values[: ends[-1]], columns[: ends[-1]], np.array(ends))
    matrix = sparse.csr_array(kept, shape=(n_items, n_items))
    matrix.sort_indices()
    return SparsePart(matrix, plain)


def _strongest(
    row: int, columns: Columns, values: FloatArray, count: int
) -> tuple[Columns, FloatArray]:
    """Return the `count` largest of a row of ``R'R`` off its diagonal: columns and values."""
    places = largest_places(values, count + 1)  # the diagonal entry is usually among them
    places = places[columns[places] != row]
    if len(places) > count:
        places = np.delete(places, values[places].argmin())
    return columns[places].astype(np.int32), values[places]
