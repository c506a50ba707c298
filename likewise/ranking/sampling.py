"""Bounds on the likes of one user: what a user who likes everything costs in a model and in a query.

The links between items cost the square of a user's likes, and a user who likes nearly everything says almost nothing
about any item. So if a user has more than `Recipe.max_likes_per_user` likes, a sample of that many replaces them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from likewise.ranking.array_types import CsrMatrix, FloatArray

Integer = TypeVar("Integer", bound=np.integer)


def sampled(rows: NDArray[Integer], most: int, *, seed: int = 0) -> NDArray[Integer]:
    """Return the rows [L], or `most` of them, in their order; the same rows and seed give the same sample.

    Adding or removing a row changes at most one row of the sample.
    """
    if len(rows) <= most:
        return rows
    chosen = np.argpartition(_shuffled(rows, seed), most - 1)[:most]
    chosen.sort()
    return rows[chosen]


def heaviest(
    rows: NDArray[Integer], weights: FloatArray, most: int, *, seed: int = 0
) -> NDArray[Integer]:
    """Return the rows [L], or the `most` with the largest weights; of equal weights, a sample."""
    if len(rows) <= most:
        return rows
    least = np.partition(weights, -most)[-most]
    above = rows[weights > least]
    return np.concatenate([above, sampled(rows[weights == least], most - len(above), seed=seed)])


def sampled_with_weights(
    rows: NDArray[Integer], weights: FloatArray, most: int
) -> tuple[NDArray[Integer], FloatArray]:
    """Return the rows [L] and weights [L], or a sample, in their order.

    At most `most` rows with positive weights, the heaviest, and as many with negative ones: dislikes are few,
    and are not lost among a long history of likes.
    """
    if len(rows) <= most:
        return rows, weights
    positive = weights > 0
    parts = (heaviest(rows[positive], weights[positive], most), sampled(rows[~positive], most))
    kept = np.isin(rows, np.concatenate(parts), assume_unique=True)
    return rows[kept], weights[kept]


def bounded(
    user_items: CsrMatrix, most: int, numbers: NDArray[np.integer] | None = None
) -> CsrMatrix:
    """Return the matrix, CSR [m, n], with at most `most` likes of each user, the heaviest ones.

    Among those of equal weight, as all are with likes alone, the sample is random. The matrix is returned
    unchanged if no user has more. `numbers` [m] are those of the users, which seed the samples, if these rows
    are only some of all.
    """
    lengths = np.diff(user_items.indptr)
    heavy = np.flatnonzero(lengths > most)
    if not len(heavy):
        return user_items
    stays = np.ones(user_items.nnz, np.bool_)
    for user in heavy.tolist():
        likes = slice(user_items.indptr[user], user_items.indptr[user + 1])
        seed = (user if numbers is None else int(numbers[user])) + 1
        items = user_items.indices[likes]
        kept = heaviest(items, user_items.data[likes], most, seed=seed)
        stays[likes] = np.isin(items, kept)
    pointers = np.concatenate([[0], np.cumsum(np.minimum(lengths, most))])
    tables = (user_items.data[stays], user_items.indices[stays], pointers)
    return sparse.csr_array(tables, shape=user_items.shape)


def _shuffled(rows: NDArray[np.integer], seed: int) -> NDArray[np.uint64]:
    """Return a random number for each row: SplitMix64 (Steele, Lea and Flood, OOPSLA 2014)."""
    numbers = rows.astype(np.uint64) + np.uint64(seed * 0xD1342543DE82EF95 % 2**64)
    numbers *= np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        numbers ^= numbers >> np.uint64(shift)
        numbers *= np.uint64(factor)
    return numbers ^ (numbers >> np.uint64(31))
