"""How well each recipe ranks held-out likes, without building its model."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_limits

from indexer.build import doubled, filtered
from indexer.gram import cores
from indexer.rows import rows_of
from likewise.ranking.degrees import power
from likewise.ranking.ridge import filters, relative_ridges, tails, typical_length
from likewise.ranking.sampling import bounded

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from indexer.factors import Factors
    from indexer.leave_out import LeftOut
    from indexer.rows import Matrix
    from likewise.ranking.array_types import CsrMatrix, FloatArray
    from likewise.ranking.degrees import Degrees
    from likewise.ranking.recipe import Recipe

# Likes ranked at a time: their scores, 5 MB for 20,000 items, stay in the cache.
_LIKES_AT_ONCE = 64
# The length of a list.
_CUT = 20


class Gains:
    """The gain of each held-out like under a recipe: the mean of recall@20 and nDCG@20 of this one like.

    That is what a list of 20 is measured by, so what is not on it gains nothing, however close it is.
    """

    def __init__(
        self, left_out: LeftOut[Matrix], factors_of: Callable[[Recipe], Factors], most_likes: int
    ) -> None:
        """Prepare to rank with factors of the rest, with at most so many likes of each user."""
        self._left_out = left_out
        self._factors_of = factors_of
        rest = rows_of(left_out.rest)
        self._degrees = rest.item_degrees()
        self._typical = typical_length(rest.lengths())
        self._queries = rest.take(left_out.users)
        self._asked = bounded(self._queries, most_likes)

    def of(self, recipes: Sequence[Recipe], likes: range) -> FloatArray:
        """Return the gains of these held-out likes, float32 [recipes, likes]."""
        gains = np.zeros((len(recipes), len(likes)), np.float32)
        factors = [self._factors_of(recipe) for recipe in recipes]
        alike: dict[tuple[float, int], list[int]] = {}
        for place, recipe in enumerate(recipes):
            alike.setdefault((recipe.query_exponent, id(factors[place])), []).append(place)

        def rank_some(start: int) -> None:
            some = slice(start, min(start + _LIKES_AT_ONCE, likes.stop))
            columns = slice(some.start - likes.start, some.stop - likes.start)
            liked, items = self._queries[some], self._left_out.items[some]
            for (exponent, _), places in alike.items():
                weights = power(self._degrees, -exponent)
                ours = factors[places[0]]
                folded = _Folded(self._asked[some], ours, weights)
                for place in places:
                    recipe = recipes[place]
                    scores = _scores(folded, ours, recipe, self._degrees, self._typical)
                    gains[place, columns] = _gains(scores, liked, items)

        # The likes are split among our threads; BLAS threads would spin, waiting for each other.
        with threadpool_limits(1, "blas"), ThreadPoolExecutor(cores()) as threads:
            list(threads.map(rank_some, range(likes.start, likes.stop, _LIKES_AT_ONCE)))
        return gains


def _gains(scores: FloatArray, queries: CsrMatrix, items: NDArray[np.intp]) -> FloatArray:
    everybody = np.arange(len(items))
    scores[np.repeat(everybody, np.diff(queries.indptr)), queries.indices] = -np.inf
    wanted = scores[everybody, items]
    # Ties count against the recipe; the item itself makes the best rank 1.
    ranks = np.count_nonzero(scores >= wanted[:, None], axis=1)
    return np.asarray(np.where(ranks <= _CUT, (1 + 1 / np.log2(1 + ranks)) / 2, 0), np.float32)


class _Folded:
    """The work that all recipes with one query exponent share."""

    def __init__(self, queries: CsrMatrix, factors: Factors, query_weights: FloatArray) -> None:
        self._weighted = queries.multiply(query_weights[None, :]).tocsr()
        self._factors = factors
        self.n_likes: NDArray[np.integer] = np.diff(queries.indptr)

    @cached_property
    def projected(self) -> FloatArray:
        """[B, d] weighted likes through the item vectors."""
        return np.asarray(self._weighted @ self._factors.vectors, np.float32)

    @cached_property
    def plain(self) -> FloatArray:
        """[B, d] of these, the likes whose rows of the sparse part are plain."""
        plain = self._weighted.multiply(self._factors.sparse_part.plain[None, :]).tocsr()
        return np.asarray(plain @ self._factors.vectors, np.float32)

    @cached_property
    def links(self) -> FloatArray:
        """[B, n] weighted likes through the sparse part."""
        return np.asarray((self._weighted @ self._factors.sparse_part.links).toarray(), np.float32)


def _scores(
    folded: _Folded, factors: Factors, recipe: Recipe, degrees: Degrees, typical: float
) -> FloatArray:
    """Return the scores of a model with this recipe, [B, n]."""
    spectrum, tail = filtered(factors.eigenvalues[: recipe.rank], recipe)
    ratios = relative_ridges(recipe, typical, folded.n_likes)
    vectors = factors.vectors[:, : recipe.rank]
    filtered_likes = folded.projected[:, : recipe.rank] * filters(spectrum, ratios)
    if tail:
        grown = tails(recipe, spectrum, ratios)[:, None]
        held = doubled(factors.eigenvalues, tail, recipe) * grown
        filtered_likes -= folded.plain[:, : recipe.rank] * held
    scores: FloatArray = np.asarray(filtered_likes @ vectors.T, np.float32)
    if tail:
        scores += folded.links * (np.float32(tail) * grown)
    scores *= power(degrees, recipe.score_exponent)
    return scores
