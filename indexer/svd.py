"""Truncated SVD of the normalised interaction matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import linalg
from threadpoolctl import threadpool_limits

from indexer.lanczos import dimensions_needed, largest_eigenpairs
from indexer.links import gram_of
from indexer.normalising import normalise as normalise
from indexer.rows import rows_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from indexer.rows import Matrix
    from likewise.ranking.array_types import FloatArray

# The exact decomposition of the smaller Gram matrix takes less CPU time than Lanczos up to a size that
# grows with the rank: the first costs the cube of the size, whatever the rank. On one core they break even
# at 2,100 items for rank 128, at 3,200 for rank 256 and at 5,500 for rank 512; at 1,000 both take less than
# a second.
_DENSE_LIMIT = 1_000
_DENSE_SIZE_PER_VECTOR = 11
# Relative to the largest eigenvalue times the root of their number: smaller values are rounding errors of 0.
_ROUNDING = 4 * np.finfo(np.float32).eps
# The residual of each eigenpair of R'R, relative to its value; the error of the singular value is
# proportional to its square: three digits. A tighter tolerance costs time and changes no ranking.
_TOLERANCE = 1e-2


def truncated_svd(
    matrix: Matrix, rank: int, *, seed: int, start: FloatArray | None = None
) -> tuple[FloatArray, FloatArray]:
    """Return the singular values [d], in descending order, and the right singular vectors [n, d].

    d is `rank`, or less if the numerical rank of the matrix is lower. A vector is
    exactly 0 outside one connected component of the likes, so that ``V f(s) V'`` links no two items that no
    path of likes connects. Deterministic for a seed and a start. `start` [n, k] are approximations of the result,
    which make it faster. Lanczos rather than a randomised range finder: on matrices of likes, whose spectrum
    decays slowly, it is more exact and faster; docs/ranking.md has the figures.
    """
    rank = min(rank, *matrix.shape)
    found: list[tuple[FloatArray, FloatArray, NDArray[np.intp]]] = []
    values = np.zeros(0, np.float32)
    for part in rows_of(matrix).components() if rank else ():
        if len(values) >= rank and part.bound <= values[rank - 1] ** 2:
            break  # nor does any that follows hold one of the largest values
        begin = None if start is None else start[part.items]
        ours, vectors = _of_component(part.matrix, rank, seed=seed, start=begin)
        found.append((ours, vectors, part.items))
        values = np.sort(np.concatenate([values, ours]))[::-1][:rank]
    if len(found) == 1 and len(found[0][2]) == matrix.shape[1]:
        return found[0][:2]
    return _joined(found, values, matrix.shape[1])


def _joined(
    found: list[tuple[FloatArray, FloatArray, NDArray[np.intp]]], values: FloatArray, n_items: int
) -> tuple[FloatArray, FloatArray]:
    """Return the largest values among all components, and their vectors over all items."""
    of_all = np.concatenate([np.zeros(0, np.float32), *(ours for ours, _, _ in found)])
    places = np.empty(len(of_all), np.intp)  # the position of each, from the largest on
    places[np.argsort(-of_all, kind="stable")] = np.arange(len(of_all))
    vectors = np.zeros((n_items, len(values)), np.float32)
    first = 0
    for ours, theirs, items in found:
        columns = places[first : first + len(ours)]
        kept = columns < len(values)
        vectors[np.ix_(items, columns[kept])] = theirs[:, kept]
        first += len(ours)
    return values, vectors


def _of_component(
    matrix: Matrix, rank: int, *, seed: int, start: FloatArray | None
) -> tuple[FloatArray, FloatArray]:
    """Return what `truncated_svd` does, of a matrix that is one component."""
    rank = min(rank, *matrix.shape)
    # BLAS threads would spin: next to the threads of the products, which took a third of the time, and where
    # other processes need the cores.
    with threadpool_limits(1, "blas"):
        if min(matrix.shape) <= _largest_dense_size(rank):
            return _by_gram_matrix(matrix, rank)
        gram = rows_of(matrix).gram()
        found = largest_eigenpairs(gram, rank, tolerance=_TOLERANCE, seed=seed, start=start)
    return np.sqrt(found.values), found.vectors


def _largest_dense_size(rank: int) -> int:
    return max(_DENSE_LIMIT, _DENSE_SIZE_PER_VECTOR * rank, dimensions_needed(rank))


def _by_gram_matrix(matrix: Matrix, rank: int) -> tuple[FloatArray, FloatArray]:
    """Return the leading singular values and right singular vectors through ``R R'`` or ``R'R``.

    Directions that are only rounding error are left out: their vectors would be arbitrary.
    """
    wide = matrix.shape[0] <= matrix.shape[1]
    rows = rows_of(matrix)
    gram = gram_of(rows.gathered()) if wide else rows.item_gram()
    size = len(gram)
    squares, vectors = linalg.eigh(gram, subset_by_index=(size - rank, size - 1), overwrite_a=True)
    real = squares > _ROUNDING * np.sqrt(size) * squares[-1]
    squares, vectors = squares[real][::-1], vectors[:, real][:, ::-1]
    values = np.sqrt(squares, dtype=np.float32)
    if wide:
        vectors = (rows.gathered().T @ vectors) / values
    return values, np.ascontiguousarray(vectors, np.float32)
