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

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from indexer.links import Row, SparsePart
from indexer.rows import rows_of
from likewise.ranking.array_types import empty_matrix
from likewise.ranking.top import largest_places

if TYPE_CHECKING:
    from indexer.links import Columns
    from indexer.rows import Matrix, Rows
    from likewise.ranking.array_types import FloatArray

# Entries of S considered for each entry kept: only for these is the factors' share computed.
_LOOK_AT = 4


def no_links(n_items: int) -> SparsePart:
    """Return the sparse part of a model without one."""
    return SparsePart(empty_matrix(n_items, n_items), np.zeros(n_items, np.bool_))


def cooccurrence(normalised: Matrix, *, keep: int) -> SparsePart:
    """Return ``R'R`` without its diagonal, the `keep` largest entries of each row.

    `normalised` is R, [m, n].
    """
    return rows_of(normalised).cut(StrongestEntries(keep), keep)


def residual(
    normalised: Matrix, eigenvalues: FloatArray, vectors: FloatArray, *, keep: int
) -> SparsePart:
    """Return what the factors leave of ``R'R`` off its diagonal, `keep` entries of each row.

    A row of ``R'R`` itself where that loses less; else one of ``R'R - V diag(e) V'``: its largest
    entries by absolute value, of those where R'R is large. Where R'R is zero both are.
    `eigenvalues` [d] and `vectors` [n, d] are the largest of R'R.
    """
    rows = rows_of(normalised)
    gained = _energies_gained(rows, eigenvalues, vectors)
    return rows.cut(StrongestRest(keep, eigenvalues, vectors, gained), keep)


@dataclass(frozen=True, slots=True)
class StrongestEntries:
    """Cuts a row to its largest entries."""

    keep: int

    def __call__(self, row: int, columns: Columns, values: FloatArray, /) -> Row:
        """Return the `keep` largest entries off the diagonal."""
        return Row(*_strongest(row, columns, values, self.keep), plain=True)


@dataclass(frozen=True, slots=True, eq=False)
class StrongestRest:
    """Cuts a row in the form that loses less energy: plain, or without the factors' share."""

    keep: int
    eigenvalues: FloatArray
    """[d]"""
    vectors: FloatArray
    """[n, d]"""
    gained: FloatArray
    """[n] the growth of each row's energy when the factors' share is subtracted."""

    def __call__(self, row: int, columns: Columns, values: FloatArray, /) -> Row:
        """Return at most `keep` entries off the diagonal."""
        keep, vectors = self.keep, self.vectors
        near, strong = _strongest(row, columns, values, _LOOK_AT * keep)
        if len(strong) <= keep:
            return Row(near, strong, plain=True)
        rest = strong - vectors.take(near, axis=0) @ (vectors[row] * self.eigenvalues)
        largest = largest_places(rest, keep)
        kept = rest[largest]
        # How much a plain row has to keep to lose less; even all entries considered seldom reach it.
        needed = kept @ kept - self.gained[row]
        if strong @ strong > needed:
            largest_plain = largest_places(strong, keep)
            kept_plain = strong[largest_plain]
            if kept_plain @ kept_plain > needed:
                return Row(near[largest_plain], kept_plain, plain=True)
        return Row(near[largest], kept, plain=False)


def _energies_gained(rows: Rows, eigenvalues: FloatArray, vectors: FloatArray) -> FloatArray:
    """Return the growth of each row's off-diagonal energy when the factors' share is subtracted.

    Since ``S V = V diag(e)`` the energy of a whole row i falls by the sum of ``(V_id e_d)^2``; what is
    on the diagonal falls from ``S_ii`` to ``S_ii - sum of V_id^2 e_d``. Float32 [n].
    """
    on_diagonal = rows.diagonal()
    held, taken = (
        np.einsum("id,id,d->i", vectors, vectors, weights)
        for weights in (eigenvalues, eigenvalues**2)
    )
    gained: FloatArray = (on_diagonal**2 - (on_diagonal - held) ** 2 - taken).astype(np.float32)
    return gained


def _strongest(
    row: int, columns: Columns, values: FloatArray, count: int
) -> tuple[Columns, FloatArray]:
    """Return the `count` largest of a row of ``R'R`` off its diagonal: columns and values."""
    places = largest_places(values, count + 1)  # the diagonal entry is usually among them
    places = places[columns[places] != row]
    if len(places) > count:
        places = np.delete(places, values[places].argmin())
    return columns[places].astype(np.int32), values[places]
