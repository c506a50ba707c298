"""Large catalogues: score the items that can be among the best, instead of every item.

Items in the rows of the co-occurrence matrix that the likes name are scored in full, with the spectral
part: on real likes they include .98 of the exact 20 best. Annoy over the item vectors (maximum
inner product) gives those of the spectral part that share no row with the likes. The cost of neither
depends on the number of items. `neighbours` has the items of the nearest users in place of both.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from likewise.ranking import blend, cooccurrence, neighbours
from likewise.ranking.factors import adjust, factors_of
from likewise.ranking.found import Found
from likewise.ranking.queries import NO_ROWS
from likewise.ranking.top import best_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from likewise.ranking.array_types import CsrMatrix, FloatArray
    from likewise.ranking.model import Model
    from likewise.ranking.queries import RowQuery

# Of the item vectors: the first have most of a score's energy, and cost a quarter of 256.
_LEADING = 64
# Of the items linked with the likes, those that are scored whole.
_LINKED = 2048
# Of the items that Annoy finds near: few, where links give most of the best.
_NEAR = 128
# Boosted items that are scored whole, wherever they are.
_BOOSTED = 20_000
# Vectors that Annoy compares, with and without a co-occurrence matrix: docs/ranking.md.
_EFFORT = 2_000
_EFFORT_ALONE = 32_000
# Times as many where a mask leaves fewer links to rely on.
_EFFORT_FILTERED = 8
# A mask that leaves fewer is not searched: `likewise.ranking.best_items`.
_LEAST_SHARE = 0.01


class _Links(NamedTuple):
    """What the sparse part gives the items that it links with the likes: CSR, a row a query."""

    matrix: CsrMatrix

    def of(self, query: int) -> tuple[NDArray[np.int32], FloatArray]:
        start, end = self.matrix.indptr[query : query + 2]
        return self.matrix.indices[start:end], self.matrix.data[start:end]


class _Scratch(NamedTuple):
    """Tables of all items, so that sets of rows are joined and subtracted without sorting them.

    Each query writes to a few places and clears them again: filling the tables for each would cost
    time in proportion to the number of items.
    """

    left_out: NDArray[np.bool_]
    found: NDArray[np.bool_]
    added: FloatArray
    share: float
    """Of all items, those that are not left out for every query."""

    @classmethod
    def without(
        cls, retired: NDArray[np.intp], allowed: NDArray[np.bool_] | None, n_items: int
    ) -> Self:
        left_out = np.zeros(n_items, np.bool_) if allowed is None else ~allowed
        left_out[retired] = True
        share = 1.0 if allowed is None else 1 - np.count_nonzero(left_out) / n_items
        return cls(
            left_out, np.zeros(n_items, np.bool_), np.zeros(n_items, np.float32), float(share)
        )


def indexed_dimensions(rank: int, linked: CsrMatrix) -> int:
    """Return how many dimensions of the item vectors to index: all, if no links help to search."""
    return min(rank, _LEADING) if linked.nnz else rank


def searched(
    model: Model,
    likes: CsrMatrix,
    queries: Sequence[RowQuery],
    retired: NDArray[np.intp],
    least: FloatArray,
    needed: Sequence[int],
    allowed: NDArray[np.bool_] | None = None,
) -> list[Found]:
    """Return for each query as many of the best items as it needs to choose from.

    `likes` is CSR [B, n]; `retired` and the mask `allowed` [n] are for all queries. Scores are exact;
    equal ones are ordered by row. An item is evidence if its score is above the query's entry in
    `least` [B].
    """
    links, vectors = _parts(model, likes)
    scratch = _Scratch.without(retired, allowed, len(model.item_ids))
    found = []
    for number, query in enumerate(queries):
        vector = None if vectors is None else vectors[number]
        rows, scores = _evident(
            model, query, links.of(number), vector, scratch, needed[number], float(least[number])
        )
        one = Found(rows, scores, needed[number])
        if query.rules is not None and query.rules.max_per is not None:
            more = partial(_more, model, likes[[number]], query, retired, least[[number]], allowed)
            one = one._replace(more=more)
        found.append(one)
    return found


def _more(
    model: Model,
    likes: CsrMatrix,
    query: RowQuery,
    retired: NDArray[np.intp],
    least: FloatArray,
    allowed: NDArray[np.bool_] | None,
    count: int,
    without: NDArray[np.bool_],
) -> Found:
    left = ~without if allowed is None else allowed & ~without
    (found,) = searched(model, likes, [query], retired, least, [count], left)
    return found


def _evident(
    model: Model,
    query: RowQuery,
    links: tuple[NDArray[np.int32], FloatArray],
    vector: FloatArray | None,
    scratch: _Scratch,
    count: int,
    floor: float,
) -> tuple[NDArray[np.intp], FloatArray]:
    """Return the rows and scores of the best items of one query that are evidence."""
    ours = query.banned[~scratch.left_out[query.banned]]
    scratch.left_out[ours] = True
    rows, values = links
    scratch.added[rows] = values
    found = rows[~scratch.left_out[rows]].astype(np.intp)
    if vector is not None:
        found = _promising(model, query, vector, found, scratch, max(_LINKED, 4 * count))
        near = _near(model, vector, scratch, max(_NEAR, 4 * count))
        found = _joined(found, near, scratch)
        if query.rules is not None and query.rules.boost is not None:
            found = _joined(found, _boosted(query.rules.boost, scratch), scratch)
    found.sort()
    scores = scratch.added[found]
    if vector is not None:
        scores += _spectral(model, vector, found)
    scratch.added[rows] = 0.0
    scratch.left_out[ours] = False
    factors = factors_of(model, query, found)
    if factors is not None:
        adjust(scores, factors, floor)
    places = best_columns(scores, count)
    if factors is None:
        places = places[scores[places] > floor]
    return found[places], scores[places]


def _boosted(boost: FloatArray, scratch: _Scratch) -> NDArray[np.intp]:
    """Return the items that are boosted, if they are few: links and Annoy know nothing of factors."""
    more = boost > 1
    more &= ~scratch.left_out
    return np.flatnonzero(more) if np.count_nonzero(more) <= _BOOSTED else NO_ROWS


def _parts(model: Model, likes: CsrMatrix) -> tuple[_Links, FloatArray | None]:
    """Return the sparse part of the scores, and the query vectors of the spectral part, if any."""
    if model.recipe.ranker == "neighbours":
        return _Links(neighbours.sparse_scores(model, likes)), None
    links = _Links(cooccurrence.sparse_scores(model, likes))
    return links, blend.fold_in(model, likes) if model.spectrum.any() else None


def _promising(
    model: Model,
    query: RowQuery,
    vector: FloatArray,
    rows: NDArray[np.intp],
    scratch: _Scratch,
    wanted: int,
) -> NDArray[np.intp]:
    """Return the `wanted` rows of the highest scores, as the leading dimensions estimate them."""
    if len(rows) <= wanted:
        return rows
    estimates = scratch.added[rows]
    estimates += _spectral(model, vector[:_LEADING], rows)
    factors = factors_of(model, query, rows)
    if factors is not None:
        estimates *= factors
    return rows[np.argpartition(-estimates, wanted - 1)[:wanted]]


def _spectral(model: Model, vector: FloatArray, rows: NDArray[np.intp]) -> FloatArray:
    """Return the spectral scores of the rows, of as many dimensions as the vector has."""
    scores: FloatArray = model.item_factors[rows, : len(vector)] @ vector
    scores *= model.score_weights[rows]
    return scores


def _near(model: Model, vector: FloatArray, scratch: _Scratch, wanted: int) -> NDArray[np.intp]:
    """Return about `wanted` rows whose spectral score is high, and that are not left out.

    Searches further if most of what is near is left out, in the end among all items. If few items
    are not left out, returns all of them.
    """
    searched = vector[: model.item_index.dimensions]
    effort = _EFFORT if model.cooccurrence.nnz else _EFFORT_ALONE
    asked = wanted
    if scratch.share < 1:
        share = max(scratch.share, _LEAST_SHARE)
        asked, effort = int(asked / share), int(_EFFORT_FILTERED * effort / share)
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
