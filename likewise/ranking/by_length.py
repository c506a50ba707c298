"""The scan in order of length: items whose vectors are too short to be among the best are not scored.

The spectral part of a score is an inner product, and no more than the product of the two lengths. In order of
falling length of the item vectors, a scan may therefore stop where the bound falls below a score that
enough items have reached; items that the likes link are checked one by one beyond it (LEMP; Teflioudi, Gemulla
and Mykytiuk, "Fast Retrieval of Large Entries in a Matrix Product", SIGMOD 2015). The best items and
their scores are those of the whole scan: docs/decisions/0047.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
from scipy import sparse

from likewise.ranking import blend, cooccurrence
from likewise.ranking.factors import barred
from likewise.ranking.found import Found
from likewise.ranking.queries import joined

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from likewise.ranking.array_types import CsrMatrix, FloatArray
    from likewise.ranking.model import Model
    from likewise.ranking.queries import RowQuery

_TINY = np.finfo(np.float32).tiny
# Items that every query is compared with: they give a score for the others to reach. In a catalogue
# of fewer than twice as many there is too little left to save.
_FIRST = 4_096
# The best of these are estimated by the maxima of groups, so many for each item that is asked for.
_GROUP = 16
_GROUPS_PER_ITEM = 4
# Up to so many queries are multiplied one by one, which takes less time than a product of two.
_ONE_BY_ONE = 2
# Bounds the memory of the vectors and links in this order to 128 MiB.
_MOST_NUMBERS = 32 * 1024 * 1024
# Rounding must not hide an item: far more than the error of a sum of a thousand products.
_MARGIN = np.float32(1 + 1e-4)


class ByLength(NamedTuple):
    """The items of a model in order of falling length of their vectors."""

    rows: NDArray[np.intp]
    """[n] their rows in the tables of the model."""
    places: NDArray[np.integer]
    """[n] the place of each row in this order."""
    columns: FloatArray
    """[d, n] item vectors times score weights, in this order, by dimension.

    BLAS rearranges vectors that are stored one by one before it multiplies them, which is most of the cost
    of a few queries: these take a third to a half of the time by dimension.
    """
    lengths: FloatArray
    """[n] the lengths of these."""
    links: CsrMatrix
    """CSR [n, n]: the rows of `Model.cooccurrence`, whose columns are places in this order."""

    @classmethod
    def of(cls, model: Model) -> Self | None:
        """Return the order; None if scanning the whole of this model takes less time or memory."""
        n_items, rank = model.item_factors.shape
        numbers = n_items * rank + model.cooccurrence.nnz
        unsuited = n_items < 2 * _FIRST or numbers > _MOST_NUMBERS
        if unsuited or model.recipe.ranker == "neighbours" or not model.spectrum.any():
            return None
        lengths = np.linalg.norm(model.item_factors, axis=1) * np.abs(model.score_weights)
        rows = np.argsort(-lengths, kind="stable")
        places = np.empty(n_items, np.int32)
        places[rows] = np.arange(n_items, dtype=np.int32)
        vectors = model.item_factors[rows]
        vectors *= model.score_weights[rows, None]
        columns = np.ascontiguousarray(vectors.T)
        near = model.cooccurrence
        places = places.astype(near.indices.dtype, copy=False)
        links: CsrMatrix = sparse.csr_array(
            (near.data, places[near.indices], near.indptr), shape=near.shape
        )
        return cls(rows, places, columns, lengths[rows], links)

    def saves(self, count: int) -> bool:
        """Return whether finding so many of the best needs far less than all items."""
        return count > 0 and 2 * _compared_first(count) <= len(self.rows)


def _compared_first(count: int) -> int:
    """Return how many items every query is compared with if it asks for so many."""
    return max(_FIRST, _GROUP * _GROUPS_PER_ITEM * count)


def best_by_length(
    model: Model,
    likes: CsrMatrix,
    queries: Sequence[RowQuery],
    least: FloatArray,
    retired: NDArray[np.intp],
    count: int,
) -> list[Found]:
    """Return the best `count` items that are evidence for each query; equal ones are ordered by row.

    `likes` is CSR [B, n]. Of the rules of the queries, `allowed` is applied. An item is evidence if its
    score is above the query's entry in `least` [B]. Only for counts that `ByLength.saves` accepts.

    Raises:
        ValueError: the model has no order of length.
    """
    order = model.by_length
    if order is None:
        raise ValueError("this model has no order of length")
    folded = blend.fold_in(model, likes)
    reach = np.linalg.norm(folded, axis=1) * _MARGIN
    linked = _linked(model, order, likes)
    _leave_out(linked, order, queries, retired)
    first = _compared_first(count)
    scores = _products(folded, order.columns[:, :first])
    scores += linked[:, :first]
    reached = np.maximum(_reached(scores, count), least)
    shortest = reached / np.maximum(reach, _TINY)
    found = [_at_least(scores, reached)]
    start = first
    while start < len(order.rows):
        some = slice(start, start + start // 2)  # few steps: each has a fixed cost
        whole = shortest <= order.lengths[start]
        asking, others = np.flatnonzero(whole), np.flatnonzero(~whole)
        if len(asking):
            scores = _products(folded[asking], order.columns[:, some])
            scores += linked[asking, some]
            found.append(_at_least(scores, reached[asking]).of(asking, start))
        if len(others):
            scores = linked[others, some] if len(asking) else linked[:, some]
            missing = reached[others] - reach[others] * order.lengths[start]
            near = _at_least(scores, missing).of(others, start)
            found.append(_with_spectral_part(model, order, folded, near))
        start = some.stop
    return _best_of_each(order, found, least, count)


class _Scored(NamedTuple):
    """Places in the order of length, for which query, and with which score: one of each at an index."""

    queries: NDArray[np.intp]
    places: NDArray[np.intp]
    scores: FloatArray

    def of(self, queries: NDArray[np.intp], start: int) -> _Scored:
        """Return the same, found for some of the queries in places from `start` on."""
        return _Scored(queries[self.queries], start + self.places, self.scores)


def _linked(model: Model, order: ByLength, likes: CsrMatrix) -> FloatArray:
    """Return what the links add to each score, [B, n] in this order."""
    scores = np.empty(likes.shape, np.float32)
    for part, links in cooccurrence.links_in_parts(model, likes, order.links):
        links.toarray(out=scores[part])
    return scores


def _leave_out(
    scores: FloatArray, order: ByLength, queries: Sequence[RowQuery], retired: NDArray[np.intp]
) -> None:
    """Set the scores of what must not be returned to -inf; no later sum changes that."""
    numbers = np.repeat(np.arange(len(queries)), [len(query.banned) for query in queries])
    scores[:, order.places[retired]] = -np.inf
    scores[numbers, order.places[joined(query.banned for query in queries)]] = -np.inf
    shared: dict[int, FloatArray] = {}
    for row, query in zip(scores, queries, strict=True):
        allowed = None if query.rules is None else query.rules.allowed
        if allowed is not None:
            if id(allowed) not in shared:
                shared[id(allowed)] = barred(allowed[order.rows])
            row += shared[id(allowed)]


def _reached(scores: FloatArray, count: int) -> FloatArray:
    """Return a score that at least `count` items of each row reach, [B]."""
    maxima = _maxima(scores)
    groups = maxima.shape[1]
    least: FloatArray = np.partition(maxima, groups - count, axis=1)[:, groups - count]
    return least


def _products(folded: FloatArray, columns: FloatArray) -> FloatArray:
    """Return the product of queries [B, d] and items [d, w], [B, w]."""
    if len(folded) > _ONE_BY_ONE:
        return folded @ columns
    return np.stack([vector @ columns for vector in folded])


def _with_spectral_part(
    model: Model, order: ByLength, folded: FloatArray, linked: _Scored
) -> _Scored:
    """Return the whole scores of a few items, of which those of the links are known."""
    queries, places, scores = linked
    rows = order.rows[places]
    spectral = np.einsum("ij,ij->i", folded[queries], model.item_factors[rows])
    spectral *= model.score_weights[rows]
    return linked._replace(scores=scores + spectral)


def _at_least(scores: FloatArray, least: FloatArray) -> _Scored:
    """Return which scores [B, w] reach their row's bound [B], which few do; the places are columns."""
    maxima = _maxima(scores)
    groups = maxima.shape[1]
    queries, chosen = np.nonzero(maxima >= least[:, None])
    places = (chosen[:, None] + groups * np.arange(_GROUP)).ravel()
    queries = np.repeat(queries, _GROUP)
    if groups * _GROUP < scores.shape[1]:
        rest = np.arange(groups * _GROUP, scores.shape[1])
        queries = np.concatenate([queries, np.repeat(np.arange(len(scores)), len(rest))])
        places = np.concatenate([places, np.tile(rest, len(scores))])
    found = scores[queries, places]
    kept = found >= least[queries]
    return _Scored(queries[kept], places[kept], found[kept])


def _maxima(scores: FloatArray) -> FloatArray:
    """Return the maxima of groups of columns: those of g, g + groups, g + 2 groups…, [B, groups]."""
    groups = scores.shape[1] // _GROUP
    grouped = scores[:, : groups * _GROUP].reshape(len(scores), _GROUP, groups)
    maxima: FloatArray = grouped.max(axis=1)
    return maxima


def _best_of_each(
    order: ByLength, scored: Sequence[_Scored], least: FloatArray, count: int
) -> list[Found]:
    """Return the best `count` of each query's items that are evidence."""
    queries, places, scores = (np.concatenate(parts) for parts in zip(*scored, strict=True))
    evident = scores > least[queries]
    queries, rows, scores = queries[evident], order.rows[places[evident]], scores[evident]
    best = np.lexsort((rows, -scores, queries))
    rows, scores = rows[best], scores[best]
    ends = np.cumsum(np.bincount(queries, minlength=len(least))).tolist()
    return [
        Found(rows[start : min(end, start + count)], scores[start : min(end, start + count)], count)
        for start, end in pairwise([0, *ends])
    ]
