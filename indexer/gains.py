"""How well each recipe ranks held-out likes, without building its model."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_limits

from indexer.build import doubled, filtered
from indexer.gram import cores
from likewise.ranking.degrees import item_degrees, power
from likewise.ranking.ridge import filters, relative_ridges, tails, typical_likes
from likewise.ranking.sampling import bounded

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from indexer.factors import Factors
    from indexer.leave_one_out import LeftOut
    from likewise.ranking.array_types import CsrMatrix, FloatArray
    from likewise.ranking.degrees import Degrees
    from likewise.ranking.recipe import Recipe

# Users scored at a time: their scores, 5 MB for 20,000 items, stay in the cache.
_USERS_AT_ONCE = 64
GAIN_AT_20 = np.float32(1 / np.log2(21))


def gains_of_all(left_out: LeftOut, factors: Factors, tried: list[Recipe]) -> FloatArray:
    """Return the gain of each item held out under each recipe, float32 [recipes, users].

    A gain is ``1 / log2(1 + rank)`` among all items that its user had not liked: nDCG without a
    cut-off (Järvelin and Kekäläinen, "Cumulated Gain-Based Evaluation of IR Techniques", 2002), which
    separates recipes with fewer users than a hit rate needs.
    """
    degrees, typical = item_degrees(left_out.rest), typical_likes(left_out.rest)
    queries = left_out.rest[left_out.users]
    asked = bounded(queries, tried[0].max_likes_per_user)
    gains = np.zeros((len(tried), len(left_out.users)), np.float32)
    exponents = {recipe.query_exponent for recipe in tried}

    def rank_some(start: int) -> None:
        some = slice(start, start + _USERS_AT_ONCE)
        for exponent in exponents:
            folded = _Folded(asked[some], factors, power(degrees, -exponent))
            for place, recipe in enumerate(tried):
                if recipe.query_exponent == exponent:
                    scores = _scores(folded, factors, recipe, degrees, typical)
                    gains[place, some] = _gains(scores, queries[some], left_out.items[some])

    # The users are split among our threads; BLAS threads would spin, waiting for each other.
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(cores()) as threads:
        list(threads.map(rank_some, range(0, len(left_out.users), _USERS_AT_ONCE)))
    return gains


def _gains(scores: FloatArray, queries: CsrMatrix, items: NDArray[np.intp]) -> FloatArray:
    everybody = np.arange(len(items))
    scores[np.repeat(everybody, np.diff(queries.indptr)), queries.indices] = -np.inf
    wanted = scores[everybody, items]
    # Ties count against the recipe; the item itself makes the best rank 1.
    ranks = np.count_nonzero(scores >= wanted[:, None], axis=1)
    # Rounded last, as `GAIN_AT_20` is, so that a rank of 20 gives exactly that number.
    return np.asarray(1 / np.log2(1 + ranks), np.float32)


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
