"""Truncated SVD of the normalised interaction matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import linalg
from threadpoolctl import threadpool_limits

from indexer.gram import Gram
from indexer.lanczos import dimensions_needed, largest_eigenpairs

if TYPE_CHECKING:
    from likewise.ranking.model import FloatArray

# Up to here an exact decomposition of the smaller Gram matrix is quicker than Lanczos.
_DENSE_LIMIT = 6_000
_ZERO = 1e-4
# The residual of each eigenpair of R'R, relative to its value; the error of the singular value goes with
# its square, and comes to three digits. Tighter costs time and changes no ranking.
_TOLERANCE = 1e-2


def normalise(user_items: Any, user_exponent: float, item_exponent: float) -> Any:
    """Return ``D_u^-a A D_i^-b`` as CSR float32 [m, n]; empty rows and columns stay empty."""
    users = _power(np.diff(user_items.indptr), -user_exponent)
    items = _power(item_degrees(user_items), -item_exponent)
    scaled = user_items.astype(np.float32, copy=True)
    scaled.data = np.repeat(users, np.diff(scaled.indptr)) * items[scaled.indices]
    return scaled


def item_degrees(user_items: Any) -> Any:
    """Return how many users like each item, int64 [n]."""
    return np.bincount(user_items.indices, minlength=user_items.shape[1])


def truncated_svd(
    matrix: Any, rank: int, *, seed: int, start: FloatArray | None = None
) -> tuple[FloatArray, FloatArray]:
    """Return the singular values [d], falling, and the right singular vectors [n, d].

    d is `rank`, or less where the matrix has fewer dimensions. Deterministic for a seed and a start.
    `start` [n, k] are vectors close to the result, to come to it sooner. Lanczos rather than a
    randomised range finder: on matrices of likes, whose spectrum falls slowly, it is more exact and
    quicker; docs/ranking.md has the figures.
    """
    rank = min(rank, *matrix.shape)
    if rank == 0:
        return np.zeros(0, np.float32), np.zeros((matrix.shape[1], 0), np.float32)
    if min(matrix.shape) <= max(_DENSE_LIMIT, dimensions_needed(rank)):
        return _by_gram_matrix(matrix, rank)
    # Beside the threads of the products those of BLAS would wait for work, spinning: a third of the time.
    with threadpool_limits(1, "blas"):
        found = largest_eigenpairs(Gram(matrix), rank, tolerance=_TOLERANCE, seed=seed, start=start)
    return np.sqrt(found.values), found.vectors


def _by_gram_matrix(matrix: Any, rank: int) -> tuple[FloatArray, FloatArray]:
    """Return the leading singular values and right singular vectors through ``R R'`` or ``R'R``."""
    wide = matrix.shape[0] <= matrix.shape[1]
    gram = (matrix @ matrix.T if wide else matrix.T @ matrix).toarray()
    leading = (len(gram) - rank, len(gram) - 1)
    squares, vectors = linalg.eigh(gram, subset_by_index=leading, overwrite_a=True)
    values = np.sqrt(np.maximum(squares[::-1], 0), dtype=np.float32)
    vectors = vectors[:, ::-1]
    if wide:
        # A direction without strength has no right vector; its filter is zero as well.
        vectors = (matrix.T @ vectors) / np.where(values > _ZERO, values, np.inf)
    return values, np.ascontiguousarray(vectors, np.float32)


def _power(degrees: Any, exponent: float) -> FloatArray:
    powers: FloatArray = np.maximum(degrees, 1).astype(np.float32) ** np.float32(exponent)
    return powers
