"""`ranker=auto`: a build that tries several recipes on likes it holds out, and takes the best.

No fixed recipe suits all data. One like of each user in a small seeded sample is left out, factors
are made of the rest, once, and each candidate recipe ranks the likes left out. So nothing of
them leaks into what ranks them; and since the sample is at most 1% of the likes, the model that
serves is made of the same factors (on small data, of new ones with everything in).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from msgspec import structs
from scipy import sparse
from threadpoolctl import threadpool_limits

from indexer.build import Factors, Steps, assemble, doubled, factorise, filtered, power
from indexer.gram import cores
from indexer.recipes import DEFAULTS, with_given
from indexer.svd import item_degrees
from indexer.warm_start import WarmStart
from likewise.ranking.ridge import filters, relative_ridges, tails, typical_likes
from likewise.ranking.sampling import bounded

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from indexer.interactions import Interactions
    from likewise.ranking.array_types import CsrMatrix, FloatArray
    from likewise.ranking.model import Model
    from likewise.ranking.recipe import Recipe
    from likewise.settings import ModelSettings

# Of all likes; also what the factors that serve may lack.
_HELD_OUT_SHARE = 0.01
_MOST_USERS = 1_000
# Bounds the work by the catalogue: so many scores are computed for each candidate.
_SCORES = 16_000_000
# Whose scores, 5 MB of 20,000 items, are gone over while they are in the cache.
_USERS_AT_ONCE = 64
# Fewer likes than this are factorised once more, with those held out put back.
_SMALL = 200_000
# Standard errors, paired: the normal quantile at 5% for a dozen comparisons (Bonferroni).
_CLEARLY = 2.6
# A user who likes less says too little without one of them.
_FEWEST_LIKES = 3


class HeldOut(NamedTuple):
    """Likes taken out of the matrix, one a user."""

    rest: CsrMatrix
    """CSR [m, n] without them."""
    users: NDArray[np.intp]
    items: NDArray[np.intp]


def candidates(settings: ModelSettings) -> list[Recipe]:
    """Return the recipes to try, the default first; what the settings give is in all of them.

    All share the exponents and the largest rank of the default, so that one factorisation
    serves them. Of the blend there are weaker and stronger ridges and other weights of popular
    items; a ridge of 1,000 leaves plain co-occurrence. The spectral ones drop the sparse part.
    """
    blend = DEFAULTS["blend"]
    recipes = [blend]
    for ridge, query, score in (
        (3.0, 0.35, 0.2),
        (30.0, 0.35, 0.2),
        (10.0, 0.15, 0.05),
        (30.0, 0.15, 0.05),
        (10.0, 0.35, 0.1),
        (20.0, 0.5, 0.25),
        (1_000.0, 0.35, 0.15),
    ):
        recipes.append(
            structs.replace(blend, ridge=ridge, query_exponent=query, score_exponent=score)
        )
    recipes += [
        structs.replace(DEFAULTS["spectral"], rank=rank, ridge=ridge)
        for rank, ridge in ((64, 3.0), (128, 3.0), (128, 10.0), (256, 10.0))
    ]
    given = [with_given(recipe, settings) for recipe in recipes]
    return list(dict.fromkeys(given))


def build_best(
    interactions: Interactions,
    settings: ModelSettings,
    *,
    steps: Steps,
    warm: WarmStart | None = None,
) -> Model:
    """Return a model of these interactions under the best of the candidate recipes.

    The default stays unless another is clearly better (`best_of`). What was tried and how it did
    goes into the report. Too few likes to hold any out give the default.
    """
    tried = candidates(settings)
    seed = settings.seed
    held_out = hold_out(interactions.user_items, seed=seed)
    warm = warm or WarmStart()
    start = warm.vectors(interactions.item_ids, tried[0])
    factors = factorise(held_out.rest, tried[0], seed=seed, steps=steps, start=start)
    warm.remember(interactions.item_ids, tried[0], factors.vectors)
    recipe = tried[0]
    if len(held_out.users):
        with steps("choice"):
            gains = gains_of_all(held_out, factors, tried)
            recipe = tried[best_of(gains)]
        steps.report.choice = _account(tried, gains, recipe)
        if interactions.user_items.nnz < _SMALL:
            factors = factorise(interactions.user_items, tried[0], seed=seed, steps=steps)
    return assemble(interactions, factors, recipe, seed=seed, steps=steps)


def hold_out(user_items: CsrMatrix, *, seed: int) -> HeldOut:
    """Return the matrix without one like of each user in a seeded sample."""
    rng = np.random.default_rng(seed)
    lengths = np.diff(user_items.indptr)
    eligible = np.flatnonzero(lengths >= _FEWEST_LIKES)
    width = max(user_items.shape[1], 1)
    size = min(_MOST_USERS, _SCORES // width, round(_HELD_OUT_SHARE * user_items.nnz))
    users = np.sort(rng.permutation(eligible)[:size])
    places = user_items.indptr[users] + rng.integers(0, lengths[users])
    stays = np.ones(user_items.nnz, bool)
    stays[places] = False
    kept = np.bincount(users, minlength=len(lengths))
    indptr = np.concatenate([[0], np.cumsum(lengths - kept)])
    parts = (user_items.data[stays], user_items.indices[stays], indptr)
    rest = sparse.csr_array(parts, shape=user_items.shape)
    return HeldOut(rest, users, user_items.indices[places].astype(np.intp))


def gains_of_all(held_out: HeldOut, factors: Factors, tried: list[Recipe]) -> FloatArray:
    """Return the gain of each item held out under each recipe, float32 [recipes, users].

    A gain is ``1 / log2(1 + rank)`` among all items that its user had not liked: nDCG without a
    cut-off (Järvelin and Kekäläinen, "Cumulated Gain-Based Evaluation of IR Techniques", 2002), which
    tells recipes apart with fewer users than a hit rate does.
    """
    degrees, typical = item_degrees(held_out.rest), typical_likes(held_out.rest)
    queries = held_out.rest[held_out.users]
    asked = bounded(queries, tried[0].max_likes_per_user)
    gains = np.zeros((len(tried), len(held_out.users)), np.float32)
    exponents = {recipe.query_exponent for recipe in tried}

    def rank_some(start: int) -> None:
        some = slice(start, start + _USERS_AT_ONCE)
        for exponent in exponents:
            folded = _Folded(asked[some], factors, power(degrees, -exponent))
            for place, recipe in enumerate(tried):
                if recipe.query_exponent == exponent:
                    scores = _scores(folded, factors, recipe, degrees, typical)
                    gains[place, some] = _gains(scores, queries[some], held_out.items[some])

    # Threads of our own share the users; those of BLAS would wait for each other, spinning.
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(cores()) as threads:
        list(threads.map(rank_some, range(0, len(held_out.users), _USERS_AT_ONCE)))
    return gains


def _gains(scores: FloatArray, queries: CsrMatrix, items: NDArray[np.intp]) -> FloatArray:
    everybody = np.arange(len(items))
    scores[np.repeat(everybody, np.diff(queries.indptr)), queries.indices] = -np.inf
    wanted = scores[everybody, items]
    # Ties count against the recipe; the item itself makes the best rank 1.
    ranks = np.count_nonzero(scores >= wanted[:, None], axis=1)
    # Rounded last, as `_GAIN_AT_20` is: a rank of 20 has to give that very number.
    return np.asarray(1 / np.log2(1 + ranks), np.float32)


def best_of(gains: FloatArray) -> int:
    """Return which row of `gains` [recipes, users] is best on average, 0 unless it clearly is.

    Of a dozen recipes that are as good as the first, one is better by a standard error or two just
    by chance. So the best has to be better by as many as chance gives once in twenty choices.
    """
    best = int(gains.mean(axis=1).argmax())
    difference = gains[best] - gains[0]
    standard_error = difference.std() / np.sqrt(max(len(difference), 1))
    return best if difference.mean() > _CLEARLY * standard_error else 0


class _Folded:
    """What all recipes of one query exponent share of the work."""

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
    folded: _Folded, factors: Factors, recipe: Recipe, degrees: NDArray[np.int64], typical: float
) -> FloatArray:
    """Return the scores that a model of this recipe would give, [B, n]."""
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


def _account(tried: list[Recipe], gains: FloatArray, chosen: Recipe) -> dict[str, Any]:
    """Return what the manifest says of the choice."""
    return {
        "held_out_likes": gains.shape[1],
        "chosen": tried.index(chosen),
        "tried": [
            {
                "ranker": recipe.ranker,
                "rank": recipe.rank,
                "ridge": recipe.ridge,
                "query_exponent": recipe.query_exponent,
                "score_exponent": recipe.score_exponent,
                "ndcg": round(float(gain), 4),
                "hit_rate@20": round(float(hits), 4),
            }
            for recipe, gain, hits in zip(
                tried, gains.mean(axis=1), (gains >= _GAIN_AT_20).mean(axis=1), strict=True
            )
        ],
    }


_GAIN_AT_20 = np.float32(1 / np.log2(21))
