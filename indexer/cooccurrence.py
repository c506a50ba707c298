"""The sparse part of a model: item-item co-occurrence, or what the factors leave of it.

``S = R'R`` is far too dense to keep. Cutting S itself would spoil the blend, which takes from S what
the factors already hold: so the factors' share is taken off first, and the rest is cut.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from likewise.ranking.model import FloatArray

# Rows of S held at once; bounds memory on catalogues whose S is nearly dense.
_ROWS_PER_BLOCK = 512
# Entries of S, per entry kept, for which the factors' share is computed at all.
_LOOK_AT = 4
# Entries whose factor rows are gathered at once; bounds memory to a few tens of MiB.
_ENTRIES_PER_CHUNK = 32 * 1024


class _Entries(NamedTuple):
    """Entries of a matrix, in order of row: places and values, all of one length."""

    rows: NDArray[np.int32]
    columns: NDArray[np.int32]
    values: FloatArray


def cooccurrence(normalised: Any, *, keep: int) -> Any:
    """Return ``R'R`` without its diagonal, the `keep` largest entries of each row, CSR [n, n].

    `normalised` is R, CSR [m, n].
    """
    return _matrix((_largest(block, keep) for block in _blocks(normalised)), normalised.shape[1])


def residual(normalised: Any, eigenvalues: FloatArray, vectors: FloatArray, *, keep: int) -> Any:
    """Return ``R'R - V diag(e) V'`` off its diagonal, `keep` entries of each row, CSR [n, n].

    Those largest by absolute value, of the entries where R'R itself is large. Where R'R is zero
    so is the result. `eigenvalues` [d] and `vectors` [n, d] are the largest of R'R.
    """
    weighted = vectors * eigenvalues

    def rest(block: _Entries) -> _Entries:
        looked_at = _largest(block, _LOOK_AT * keep)
        held = _inner_products(weighted, vectors, looked_at)
        return _largest(looked_at._replace(values=looked_at.values - held), keep)

    return _matrix((rest(block) for block in _blocks(normalised)), normalised.shape[1])


def _blocks(normalised: Any) -> Iterator[_Entries]:
    """Yield the entries of ``R'R`` off the diagonal, some rows at a time."""
    by_item = normalised.T.tocsr()
    for start in range(0, by_item.shape[0], _ROWS_PER_BLOCK):
        product = (by_item[start : start + _ROWS_PER_BLOCK] @ normalised).tocoo()
        rows = product.row.astype(np.int32) + np.int32(start)
        off_diagonal = rows != product.col
        columns = product.col.astype(np.int32)
        yield _Entries(rows[off_diagonal], columns[off_diagonal], product.data[off_diagonal])


def _largest(entries: _Entries, keep: int) -> _Entries:
    """Return the `keep` entries of each row that are largest by absolute value."""
    order = np.lexsort((-np.abs(entries.values), entries.rows))
    rows = entries.rows[order]
    first = np.searchsorted(rows, rows)
    kept = np.sort(order[np.arange(len(rows)) - first < keep])
    return _Entries(
        rows=entries.rows[kept], columns=entries.columns[kept], values=entries.values[kept]
    )


def _inner_products(left: FloatArray, right: FloatArray, entries: _Entries) -> FloatArray:
    """Return ``left[row] . right[column]`` of each entry."""
    products = np.empty(len(entries.rows), np.float32)
    for start in range(0, len(products), _ENTRIES_PER_CHUNK):
        chunk = slice(start, start + _ENTRIES_PER_CHUNK)
        products[chunk] = np.einsum(
            "ij,ij->i", left[entries.rows[chunk]], right[entries.columns[chunk]]
        )
    return products


def _matrix(blocks: Iterator[_Entries], n_items: int) -> Any:
    parts = [*blocks, _NO_ENTRIES]
    rows = np.concatenate([part.rows for part in parts])
    columns = np.concatenate([part.columns for part in parts])
    values = np.concatenate([part.values for part in parts])
    matrix = sparse.coo_array((values, (rows, columns)), shape=(n_items, n_items)).tocsr()
    matrix.sort_indices()
    return matrix


_NO_ENTRIES = _Entries(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32))
