"""Large catalogues: score the items that can be among the best, instead of every item.

A score is a spectral part plus what links add. An item of a high score has a lot of one of them at least, so the
candidates are the items that the links add most to, and those that an index finds near the query's vector (Fagin,
"Combining Fuzzy Information from Multiple Systems", 1999). They are scored exactly. `neighbours` has the items of
the nearest users in place of both.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from likewise.ranking import blend, cooccurrence, neighbours
from likewise.ranking.factors import adjust, factors_of
from likewise.ranking.found import Found
from likewise.ranking.near_items import NearItems
from likewise.ranking.queries import NO_ROWS
from likewise.ranking.top import best_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from likewise.ranking.array_types import CsrMatrix, FloatArray
    from likewise.ranking.model import Model
    from likewise.ranking.queries import RowQuery

# Of the items linked with the likes, those that are scored.
_LINKED = 128
# So many where the index finds too few of the others, or where factors change the order.
_MORE_LINKED = 2048
# They are chosen by these dimensions of the item vectors: the first have most of a score's energy.
_LEADING = 64
# Boosted items that are scored whole, wherever they are.
_BOOSTED = 20_000


class _Batch(NamedTuple):
    """What the candidates of several queries are found with."""

    model: Model
    links: CsrMatrix
    """[B, n] what the links of each query add; an item may be in a row several times."""
    vectors: FloatArray | None
    """[B, d] the queries in the directions of the factors; None if there is no spectral part."""
    near: NearItems | None
    added: FloatArray
    """[n] the links of one query added up, `-inf` for what it bans, and 0 again after it."""
    outside: NDArray[np.bool_] | None
    """[n] what no query may return."""

    def within(self, rows: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return those of the rows that the query at hand may return."""
        if self.outside is not None:
            rows = rows[~self.outside[rows]]
        within: NDArray[np.intp] = rows[self.added[rows] > -np.inf]
        return within


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
    batch = _batch(model, likes, queries, max(needed, default=0), _outside(model, retired, allowed))
    found = []
    for number, query in enumerate(queries):
        rows, scores = _best(batch, number, query, needed[number], float(least[number]))
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


def _outside(
    model: Model, retired: NDArray[np.intp], allowed: NDArray[np.bool_] | None
) -> NDArray[np.bool_] | None:
    """Return what no query may return, [n]; None for nothing."""
    if allowed is None and not len(retired):
        return None
    outside = np.zeros(len(model.item_ids), np.bool_) if allowed is None else ~allowed
    outside[retired] = True
    return outside


def _batch(
    model: Model,
    likes: CsrMatrix,
    queries: Sequence[RowQuery],
    count: int,
    outside: NDArray[np.bool_] | None,
) -> _Batch:
    vectors = near = None
    if model.recipe.ranker == "neighbours":
        links = neighbours.sparse_scores(model, likes)
    else:
        links = cooccurrence.links(model, likes)
        if model.spectrum.any():
            vectors = blend.fold_in(model, likes)
            longest = max(len(query.banned) for query in queries)
            near = NearItems.of(model, vectors, count, longest, outside)
    added = np.zeros(len(model.item_ids), np.float32)
    return _Batch(model, links, vectors, near, added, outside)


def _best(
    batch: _Batch, number: int, query: RowQuery, count: int, floor: float
) -> tuple[NDArray[np.intp], FloatArray]:
    """Return the rows and scores of the best items of one query that are evidence."""
    start, end = batch.links.indptr[number : number + 2]
    linked = batch.links.indices[start:end]
    np.add.at(batch.added, linked, batch.links.data[start:end])
    batch.added[query.banned] = -np.inf
    rows = _candidates(batch, number, query, batch.within(_distinct(linked)), count)
    scores = batch.added[rows]
    if batch.vectors is not None:
        scores += _spectral(batch.model, batch.vectors[number], rows)
    batch.added[linked] = 0.0
    batch.added[query.banned] = 0.0
    factors = factors_of(batch.model, query, rows)
    if factors is not None:
        adjust(scores, factors, floor)
    places = best_columns(scores, count)
    if factors is None:
        places = places[scores[places] > floor]
    return rows[places], scores[places]


def _candidates(
    batch: _Batch, number: int, query: RowQuery, linked: NDArray[np.intp], count: int
) -> NDArray[np.intp]:
    """Return the items to score, sorted: of those that are linked, of those that are near, and boosted ones."""
    if batch.vectors is None or batch.near is None:
        return linked
    ruled = query.novelty or query.rules is not None
    factors = factors_of(batch.model, query, linked) if ruled else None
    if batch.near.precise and factors is None:
        values, wanted = batch.added[linked], _LINKED
    else:
        values, wanted = batch.added[linked], _MORE_LINKED
        if len(linked) > wanted:
            values += _spectral(batch.model, batch.vectors[number, :_LEADING], linked)
        if factors is not None:
            values *= factors
    some = [
        _highest(linked, values, max(wanted, 4 * count)),
        batch.near.of_query(number, batch.within),
    ]
    if query.rules is not None and query.rules.boost is not None:
        some.append(batch.within(_boosted(query.rules.boost, batch.outside)))
    return _distinct(np.concatenate(some))


def _highest(rows: NDArray[np.intp], values: FloatArray, wanted: int) -> NDArray[np.intp]:
    """Return the `wanted` rows of the highest values."""
    if len(rows) <= wanted:
        return rows
    return rows[np.argpartition(-values, wanted - 1)[:wanted]]


def _boosted(boost: FloatArray, outside: NDArray[np.bool_] | None) -> NDArray[np.intp]:
    """Return the items that are boosted, if they are few: links and index know nothing of factors."""
    more = boost > 1
    if outside is not None:
        more &= ~outside
    return np.flatnonzero(more) if np.count_nonzero(more) <= _BOOSTED else NO_ROWS


def _spectral(model: Model, vector: FloatArray, rows: NDArray[np.intp]) -> FloatArray:
    """Return the spectral scores of the rows, of as many dimensions as the vector has."""
    if len(vector) == model.item_factors.shape[1]:
        vectors = model.item_factors.take(rows, axis=0)  # in half the time of an index and a slice
    else:
        vectors = model.item_factors[rows, : len(vector)]
    scores: FloatArray = vectors @ vector
    scores *= model.score_weights[rows]
    return scores


def _distinct(rows: NDArray[np.signedinteger[Any]]) -> NDArray[np.intp]:
    """Return the rows sorted, each once: `np.unique`, which hashes them, takes several times as long."""
    rows = np.sort(rows)
    first = np.ones(len(rows), np.bool_)
    np.not_equal(rows[1:], rows[:-1], out=first[1:])
    return rows[first].astype(np.intp, copy=False)
