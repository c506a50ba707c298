"""The links of the ranker `ridge`: what the factors leave of the regression of all items on all others.

    M = (S + lambda I)^-1 S,    S = R'R

(EASE without its diagonal; Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019). A blend
continues the filter beyond its factors by a straight line. Here the whole spectrum is filtered, by one inverse: of
``S + lambda I`` if there are fewer items than users, and otherwise of ``R R' + lambda I``, since::

    (R'R + lambda I)^-1 R'R  =  R' (R R' + lambda I)^-1 R
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import lapack

from indexer.cooccurrence import residual
from indexer.links import ROWS_AT_ONCE, Row, SparsePart, collected, gram_of
from indexer.rows import rows_of
from likewise.ranking.top import largest_places

if TYPE_CHECKING:
    from indexer.rows import Matrix, Rows
    from likewise.ranking.array_types import FloatArray

LARGEST_INVERSE = 20_000
"""The inverse of this size takes 1.6 GB. With more users and more items, or a ridge too weak to invert, links are
those of a blend."""
# What is smaller, of numbers between -1 and 1, is rounding of the inverse.
_ROUNDING = 1e-6
_LEAST_RIDGE = 1e-3
_TINY = np.finfo(np.float32).tiny


def regression(
    normalised: Matrix,
    eigenvalues: FloatArray,
    vectors: FloatArray,
    *,
    ridge: float,
    keep: int,
) -> SparsePart:
    """Return what the factors leave of M off its diagonal, the `keep` largest entries of each row.

    Divided by t, the slope of a blend's line: models multiply links by it. `normalised` is R, [m, n];
    `eigenvalues` [d] and `vectors` [n, d] are the largest of R'R. Takes the memory of the inverse, of the
    smaller of both dimensions.
    """
    n_items = normalised.shape[1]
    last = float(eigenvalues[-1]) if len(eigenvalues) else 0.0
    if min(normalised.shape) > LARGEST_INVERSE or last <= _TINY:
        return residual(normalised, eigenvalues, vectors, keep=keep)
    ridge = max(ridge, _LEAST_RIDGE)
    try:
        whole = _Regression(rows_of(normalised), ridge)
    except np.linalg.LinAlgError:  # the ridge is too weak for single precision
        return residual(normalised, eigenvalues, vectors, keep=keep)
    held = vectors * (eigenvalues / (eigenvalues + ridge))
    slope = np.float32(last + ridge)

    def cut_some(first: int) -> list[Row]:
        end = min(first + ROWS_AT_ONCE, n_items)
        rest = whole.rows(first, end)
        rest -= held[first:end] @ vectors.T
        rest[np.arange(end - first), np.arange(first, end)] = 0
        rows = []
        for row in rest:
            places = largest_places(row, keep)
            places = places[np.abs(row[places]) > _ROUNDING]
            rows.append(Row(places.astype(np.int32), row[places] * slope, plain=False))
        return rows

    return collected(n_items, keep, cut_some)


class _Regression:
    """The rows of M, computed from the inverse when they are asked for."""

    def __init__(self, normalised: Rows, ridge: float) -> None:
        self._ridge = np.float32(ridge)
        self._of_items = normalised.shape[1] <= normalised.shape[0]
        if self._of_items:
            gram = normalised.item_gram()
        else:
            by_user = normalised.gathered()
            self._by_item = by_user.T.tocsr()
            gram = gram_of(by_user)
        self._inverse = _inverse(gram, ridge)

    def rows(self, first: int, end: int) -> FloatArray:
        """Return these rows of M, float32 [end - first, n]."""
        if self._of_items:  # M = I - lambda (S + lambda I)^-1
            rows: FloatArray = self._inverse[first:end] * -self._ridge
            rows[np.arange(end - first), np.arange(first, end)] += 1
            return rows
        by_user = self._by_item[first:end] @ self._inverse
        return np.ascontiguousarray((self._by_item @ by_user.T).T)


def _inverse(gram: FloatArray, ridge: float) -> FloatArray:
    """Return ``(X X' + ridge I)^-1`` from X X', float32 [k, k], by Cholesky, in the same array.

    Entries between rows that nothing connects are exactly 0, as those of X X' are.
    """
    size = len(gram)
    gram[np.diag_indices(size)] += np.float32(ridge)
    # Symmetric, so that the transposed view is the same matrix in the order of LAPACK.
    factor, failed = lapack.spotrf(gram.T, lower=1, overwrite_a=1, clean=0)
    if not failed:
        found, failed = lapack.spotri(factor, lower=1, overwrite_c=1)
    if failed:
        raise np.linalg.LinAlgError("the matrix of co-occurrences is not positive definite")
    for first in range(0, size, ROWS_AT_ONCE):  # the upper triangle is that of before
        end = min(first + ROWS_AT_ONCE, size)
        found[first:end, end:] = found[end:, first:end].T
        corner = np.tril(found[first:end, first:end])
        found[first:end, first:end] = corner + np.tril(corner, -1).T
    inverse: FloatArray = found.T
    return inverse
