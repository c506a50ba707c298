"""A sparse matrix by rows, wherever its rows are: in this process, or on the workers of a cluster.

A build does everything it does with the likes through this port, so that one build serves both. Functions
that take a `Matrix` accept a plain CSR as well: see `rows_of`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

import numpy as np
from scipy import sparse

from indexer.components import components
from indexer.gram import Gram, row_parts
from indexer.links import cut_rows, gram_of
from indexer.normalising import normalise
from likewise.ranking.degrees import is_binary, item_degrees
from likewise.ranking.sampling import bounded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from indexer.components import Component
    from indexer.gram import SymmetricMap
    from indexer.links import Cut, SparsePart
    from likewise.ranking.array_types import CsrMatrix, FloatArray
    from likewise.ranking.degrees import Degrees
    from likewise.ranking.recipe import Recipe

    Matrix: TypeAlias = "CsrMatrix | Rows"
    Strong: TypeAlias = "tuple[NDArray[np.intp] | None, NDArray[np.integer]]"
    """The places of the strong entries of a CSR, and where those of each row begin [m + 1]; None: all are strong."""


class Without(NamedTuple):
    """A matrix without some of its entries."""

    rest: Matrix
    columns: NDArray[np.intp]
    """The column of each entry that was taken out, in the order in which they were named."""


class Rows(Protocol):
    """A sparse matrix [m, n] without negative entries: W with the weights of users and items, or R made from it."""

    @property
    def shape(self) -> tuple[int, int]:
        """Its numbers of rows and columns."""

    @property
    def nnz(self) -> int:
        """Its number of entries."""

    def lengths(self) -> NDArray[np.integer]:
        """Return the number of entries of each row, [m]."""

    def item_counts(self) -> NDArray[np.integer]:
        """Return the number of entries of each column, [n]."""

    def item_degrees(self) -> Degrees:
        """Return the sum of each column, [n]: integers if all entries are 1."""

    def strong_counts(self) -> NDArray[np.integer]:
        """Return the number of entries of each row that weigh at least as much as a like, [m].

        If nothing does, those that weigh as much as the largest entry.
        """

    def without(self, rows: NDArray[np.intp], ordinals: NDArray[np.intp]) -> Without:
        """Return the matrix without some of its strong entries, given by row and place among those of the row."""

    def take(self, rows: NDArray[np.intp]) -> CsrMatrix:
        """Return some rows [k], CSR [k, n]."""

    def normalised(self, recipe: Recipe) -> Matrix:
        """Return R under the recipe, with a sample of the likes of users with too many."""

    def components(self) -> Iterator[Component[Matrix]]:
        """Yield the connected components by falling bound: `indexer.components`."""

    def gram(self) -> SymmetricMap:
        """Return ``R'R`` as a linear map."""

    def item_gram(self) -> FloatArray:
        """Return ``R'R``, dense float32 [n, n]."""

    def diagonal(self) -> NDArray[np.float64]:
        """Return the diagonal of ``R'R``, [n]."""

    def cut(self, cut: Cut, keep: int) -> SparsePart:
        """Return what `cut` leaves of each row of ``R'R``: at most `keep` entries."""

    def gathered(self) -> CsrMatrix:
        """Return the whole matrix in this process."""

    def resident(self) -> CsrMatrix:
        """Return the matrix if it is in this process; otherwise one without rows, CSR [0, n]."""


def rows_of(matrix: Matrix) -> Rows:
    """Return the operations on a matrix, wherever it is."""
    return LocalRows(matrix) if isinstance(matrix, sparse.csr_array) else matrix


class LocalRows:
    """The operations on a CSR matrix of this process."""

    def __init__(self, matrix: CsrMatrix) -> None:
        self._matrix = matrix
        self.shape: tuple[int, int] = matrix.shape
        self.nnz = int(matrix.nnz)

    def lengths(self) -> NDArray[np.integer]:
        """See `Rows.lengths`."""
        return np.diff(self._matrix.indptr)

    def item_counts(self) -> NDArray[np.integer]:
        """See `Rows.item_counts`."""
        return np.bincount(self._matrix.indices, minlength=self.shape[1])

    def item_degrees(self) -> Degrees:
        """See `Rows.item_degrees`."""
        return item_degrees(self._matrix)

    def strong_counts(self) -> NDArray[np.integer]:
        """See `Rows.strong_counts`."""
        return np.diff(strong(self._matrix)[1])

    def without(self, rows: NDArray[np.intp], ordinals: NDArray[np.intp]) -> Without:
        """See `Rows.without`."""
        return without(self._matrix, strong(self._matrix), rows, ordinals)

    def take(self, rows: NDArray[np.intp]) -> CsrMatrix:
        """See `Rows.take`."""
        return self._matrix[rows]

    def normalised(self, recipe: Recipe) -> CsrMatrix:
        """See `Rows.normalised`."""
        likes = bounded(self._matrix, recipe.max_likes_per_user)
        return normalise(likes, recipe.user_exponent, recipe.item_exponent)

    def components(self) -> Iterator[Component[CsrMatrix]]:
        """See `Rows.components`."""
        return components(self._matrix)

    def gram(self) -> SymmetricMap:
        """See `Rows.gram`."""
        return Gram(self._matrix)

    def item_gram(self) -> FloatArray:
        """See `Rows.item_gram`."""
        return gram_of(self._matrix.T.tocsr())

    def diagonal(self) -> NDArray[np.float64]:
        """See `Rows.diagonal`."""
        return squares(self._matrix)

    def cut(self, cut: Cut, keep: int) -> SparsePart:
        """See `Rows.cut`."""
        return cut_rows(self._matrix, cut, keep)

    def gathered(self) -> CsrMatrix:
        """See `Rows.gathered`."""
        return self._matrix

    def resident(self) -> CsrMatrix:
        """See `Rows.resident`."""
        return self._matrix


def strong(matrix: CsrMatrix, largest: float | None = None) -> Strong:
    """Return the entries that weigh at least as much as a like; `largest` is the largest entry, if known."""
    if is_binary(matrix) and (largest is None or largest <= 1):
        return None, matrix.indptr
    if largest is None:
        largest = float(matrix.data.max())
    places = np.flatnonzero(matrix.data >= min(1.0, largest))
    return places, np.searchsorted(places, matrix.indptr)


def without(
    matrix: CsrMatrix, among: Strong, rows: NDArray[np.intp], ordinals: NDArray[np.intp]
) -> Without:
    """Return what `Rows.without` does, of these strong entries."""
    places, starts = among
    taken = starts[rows] + ordinals
    if places is not None:
        taken = places[taken]
    stays = np.ones(matrix.nnz, bool)
    stays[taken] = False
    kept = np.diff(matrix.indptr) - np.bincount(rows, minlength=matrix.shape[0])
    indptr = np.concatenate([[0], np.cumsum(kept)])
    rest = sparse.csr_array((matrix.data[stays], matrix.indices[stays], indptr), shape=matrix.shape)
    return Without(rest, matrix.indices[taken].astype(np.intp))


def squares(matrix: CsrMatrix) -> NDArray[np.float64]:
    """Return the sum of squares of each column, [n]."""
    found = np.zeros(matrix.shape[1])
    for part in row_parts(matrix):
        found += np.bincount(part.indices, part.data**2, minlength=len(found))
    return found
