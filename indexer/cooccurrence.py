"""The sparse part of a model: item-item co-occurrence, or what the factors leave of it.

``S = R'R`` is far too dense to keep. Cutting S itself would spoil the blend, which takes from S what
the factors already hold: so the factors' share is taken off first, and the rest is cut.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from indexer.gram import cores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from likewise.ranking.model import FloatArray

    Columns = NDArray[np.int32]
    Cut = Callable[[int, Columns, FloatArray], tuple[Columns, FloatArray]]

# Rows of S that a thread holds at a time; bounds memory where S is nearly dense.
_ROWS_AT_ONCE = 64
# Entries of S, per entry kept, for which the factors' share is computed at all.
_LOOK_AT = 4


def cooccurrence(normalised: Any, *, keep: int) -> Any:
    """Return ``R'R`` without its diagonal, the `keep` largest entries of each row, CSR [n, n].

    `normalised` is R, CSR [m, n].
    """

    def cut(_row: int, columns: Columns, values: FloatArray) -> tuple[Columns, FloatArray]:
        largest = _largest(values, keep)
        return columns[largest], values[largest]

    return _cut_rows(normalised, cut)


def residual(normalised: Any, eigenvalues: FloatArray, vectors: FloatArray, *, keep: int) -> Any:
    """Return ``R'R - V diag(e) V'`` off its diagonal, `keep` entries of each row, CSR [n, n].

    Those largest by absolute value, of the entries where R'R itself is large. Where R'R is zero
    so is the result. `eigenvalues` [d] and `vectors` [n, d] are the largest of R'R.
    """
    weighted = vectors * eigenvalues

    def cut(row: int, columns: Columns, values: FloatArray) -> tuple[Columns, FloatArray]:
        looked_at = _largest(values, _LOOK_AT * keep)
        columns = columns[looked_at]
        held = vectors.take(columns, axis=0) @ weighted[row]
        rest = values[looked_at] - held
        largest = _largest(rest, keep)
        return columns[largest], rest[largest]

    return _cut_rows(normalised, cut)


def _cut_rows(normalised: Any, cut: Cut) -> Any:
    """Return what `cut` leaves of each row of ``R'R`` off its diagonal, CSR [n, n].

    A thread for each core works on some rows at a time: SciPy and NumPy let go of the GIL.
    """
    n_items = normalised.shape[1]
    by_item = normalised.T.tocsr()

    def cut_some(first: int) -> list[tuple[Columns, FloatArray]]:
        some = by_item[first : first + _ROWS_AT_ONCE] @ normalised
        return [cut(*row) for row in _rows(some, first)]

    with ThreadPoolExecutor(cores()) as threads:
        rows = [*chain.from_iterable(threads.map(cut_some, range(0, n_items, _ROWS_AT_ONCE)))]
    lengths = [len(columns) for columns, _ in rows]
    matrix = sparse.csr_array(
        (
            np.concatenate([_NO_VALUES, *(values for _, values in rows)]),
            np.concatenate([_NO_COLUMNS, *(columns for columns, _ in rows)]),
            np.concatenate([[0], np.cumsum(lengths)]),
        ),
        shape=(n_items, n_items),
    )
    matrix.sort_indices()
    return matrix


def _rows(some: Any, first: int) -> Iterator[tuple[int, Columns, FloatArray]]:
    """Yield these rows of ``R'R`` without its diagonal: each one's number, columns and values."""
    for number, (begin, end) in enumerate(pairwise(some.indptr.tolist()), first):
        columns = some.indices[begin:end]
        others = columns != number
        yield number, columns[others].astype(np.int32), some.data[begin:end][others]


def _largest(values: FloatArray, keep: int) -> NDArray[np.intp]:
    """Return the places of the `keep` largest by absolute value, in order of place."""
    if len(values) <= keep:
        return np.arange(len(values))
    return np.sort(np.argpartition(np.abs(values), len(values) - keep)[-keep:])


_NO_COLUMNS = np.zeros(0, np.int32)
_NO_VALUES = np.zeros(0, np.float32)
