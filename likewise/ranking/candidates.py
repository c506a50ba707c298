"""Large catalogues: score the items that can be among the best, instead of every item.

Items in the rows of the co-occurrence matrix that the likes name are scored in full, with the spectral
part: on real likes they include .98 of the exact 20 best. Annoy over the item vectors (maximum
inner product) gives those of the spectral part that share no row with the likes. Neither depends on
how many items there are. `neighbours` has the items of the nearest users in place of both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from likewise.ranking import blend, cooccurrence, neighbours
from likewise.ranking.top import best_columns

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from likewise.ranking.array_types import CsrMatrix, FloatArray
    from likewise.ranking.model import Model

# Of the item vectors: the first have most of a score's energy, and cost a quarter of 256.
_LEADING = 64
# Of the items linked with the likes, those that are scored whole.
_LINKED = 2048
# Of the items that Annoy finds near, which are needed less where links give most of the best.
_NEAR = 128
# Vectors that Annoy looks at, with and without a co-occurrence matrix: docs/ranking.md.
_EFFORT = 2_000
_EFFORT_ALONE = 32_000


class _Links(NamedTuple):
    """What the sparse part gives the items that it links with the likes: CSR, a row a query."""

    matrix: CsrMatrix

    def of(self, query: int) -> tuple[NDArray[np.int32], FloatArray]:
        start, end = self.matrix.indptr[query : query + 2]
        return self.matrix.indices[start:end], self.matrix.data[start:end]


class _Scratch(NamedTuple):
    """Tables of all items, so that sets of rows are joined and subtracted without sorting them.

    Each query writes to a few places and clears them again: filling the tables again would cost time
    in proportion to the number of items.
    """

    left_out: NDArray[np.bool_]
    found: NDArray[np.bool_]
    added: FloatArray

    @classmethod
    def without(cls, retired: NDArray[np.intp], n_items: int) -> Self:
        left_out = np.zeros(n_items, np.bool_)
        left_out[retired] = True
        return cls(left_out, np.zeros(n_items, np.bool_), np.zeros(n_items, np.float32))


def indexed_dimensions(rank: int, linked: CsrMatrix) -> int:
    """Return how many dimensions of the item vectors to index: all, if no links help to search."""
    return min(rank, _LEADING) if linked.nnz else rank


def best(
    model: Model,
    likes: CsrMatrix,
    banned: Sequence[NDArray[np.intp]],
    retired: NDArray[np.intp],
    counts: Sequence[int],
) -> Iterator[tuple[NDArray[np.intp], FloatArray]]:
    """Yield the rows of the best items and their scores, best first, for each query.

    `likes` is CSR [B, n]; `banned` and `counts` hold one entry a query; `retired` is for all.
    Scores are exact; equal ones are ordered by row.
    """
    links, vectors = _parts(model, likes)
    scratch = _Scratch.without(retired, len(model.item_ids))
    effort = _EFFORT if model.cooccurrence.nnz else _EFFORT_ALONE
    for query, (struck, count) in enumerate(zip(banned, counts, strict=True)):
        ours = struck[~scratch.left_out[struck]]
        scratch.left_out[ours] = True
        rows, values = links.of(query)
        scratch.added[rows] = values
        found = rows[~scratch.left_out[rows]].astype(np.intp)
        if vectors is not None:
            vector = vectors[query]
            found = _promising(model, vector, found, scratch, max(_LINKED, 4 * count))
            near = _near(model, vector, scratch, max(_NEAR, 4 * count), effort)
            found = _joined(found, near, scratch)
        found.sort()
        scores = scratch.added[found]
        if vectors is not None:
            scores += _spectral(model, vector, found)
        scratch.added[rows] = 0.0
        scratch.left_out[ours] = False
        places = best_columns(scores, count)
        yield found[places], scores[places]


def _parts(model: Model, likes: CsrMatrix) -> tuple[_Links, FloatArray | None]:
    """Return the sparse part of the scores, and the query vectors of the spectral part, if any."""
    if model.recipe.ranker == "neighbours":
        return _Links(neighbours.sparse_scores(model, likes)), None
    links = _Links(cooccurrence.sparse_scores(model, likes))
    return links, blend.fold_in(model, likes) if model.spectrum.any() else None


def _promising(
    model: Model, vector: FloatArray, rows: NDArray[np.intp], scratch: _Scratch, wanted: int
) -> NDArray[np.intp]:
    """Return the `wanted` rows of the highest scores, as the leading dimensions estimate them."""
    if len(rows) <= wanted:
        return rows
    estimates = scratch.added[rows]
    estimates += _spectral(model, vector[:_LEADING], rows)
    return rows[np.argpartition(-estimates, wanted - 1)[:wanted]]


def _spectral(model: Model, vector: FloatArray, rows: NDArray[np.intp]) -> FloatArray:
    """Return the spectral scores of the rows, of as many dimensions as the vector has."""
    scores: FloatArray = model.item_factors[rows, : len(vector)] @ vector
    scores *= model.score_weights[rows]
    return scores


def _near(
    model: Model, vector: FloatArray, scratch: _Scratch, wanted: int, effort: int
) -> NDArray[np.intp]:
    """Return about `wanted` rows whose spectral score is high, and that are not left out.

    Looks further where most of what is near is left out, in the end at every item. Where few items are
    not left out they are returned, all of them.
    """
    searched = vector[: model.item_index.dimensions]
    asked = wanted
    while True:
        near, _ = model.item_index.nearest(searched, asked, effort=effort)
        kept = near[~scratch.left_out[near]]
        if len(kept) >= wanted // 2 or asked >= len(scratch.left_out):
            return kept
        free = np.flatnonzero(~scratch.left_out)
        if len(free) <= _LINKED:
            return free
        asked, effort = 4 * asked, -1


def _joined(found: NDArray[np.intp], near: NDArray[np.intp], scratch: _Scratch) -> NDArray[np.intp]:
    """Return the rows of both, none twice."""
    scratch.found[found] = True
    joined = np.concatenate([found, near[~scratch.found[near]]])
    scratch.found[found] = False
    return joined
