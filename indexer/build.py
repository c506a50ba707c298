"""Building a model: interactions in, arrays out. Pure, but for the timing of its steps.

`factorise` does the costly part, which several recipes can share; `assemble` makes a model of it.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from indexer.cooccurrence import cooccurrence, no_links, residual
from indexer.svd import item_degrees, normalise, truncated_svd
from indexer.warm_start import WarmStart
from likewise.ranking import neighbours
from likewise.ranking.array_types import empty_matrix
from likewise.ranking.candidates import indexed_dimensions
from likewise.ranking.index import AnnoyVectors
from likewise.ranking.model import Model
from likewise.ranking.sampling import bounded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from indexer.cooccurrence import SparsePart
    from indexer.interactions import Interactions
    from likewise.ranking.array_types import CsrMatrix, FloatArray
    from likewise.ranking.recipe import Recipe


@dataclass(slots=True)
class BuildReport:
    """How a build went: seconds of each step, and what `auto` chose and why."""

    seconds: dict[str, float] = field(default_factory=dict)
    choice: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Factors:
    """What costs time and depends on few numbers of a recipe: its exponents, rank and kind."""

    eigenvalues: FloatArray
    """[d] of R'R, falling: the squares of R's singular values."""
    vectors: FloatArray
    """[n, d] right singular vectors of R."""
    sparse_part: SparsePart
    """R'R, or what the vectors leave of it, cut to its strongest entries."""


class Steps:
    """Names, announces and times the steps of a build."""

    def __init__(
        self,
        report: BuildReport | None = None,
        on_step: Callable[[str], None] = lambda step: None,
    ) -> None:
        self.report = report or BuildReport()
        self._on_step = on_step

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Announce the step, and add the seconds it takes to the report."""
        self._on_step(name)
        started_s = time.perf_counter()
        yield
        taken_s = time.perf_counter() - started_s
        self.report.seconds[name] = round(self.report.seconds.get(name, 0.0) + taken_s, 3)


def build_model(
    interactions: Interactions,
    recipe: Recipe,
    *,
    seed: int = 0,
    steps: Steps | None = None,
    warm: WarmStart | None = None,
) -> Model:
    """Return the model of these interactions; the same input gives the same model.

    The vectors that `warm` holds of the last build are input too, and it gets the new ones. An empty or tiny store gives an empty or tiny model, which answers with popular items.
    """
    steps = steps or Steps()
    warm = warm or WarmStart()
    start = warm.vectors(interactions.item_ids, recipe)
    factors = factorise(interactions.user_items, recipe, seed=seed, steps=steps, start=start)
    warm.remember(interactions.item_ids, recipe, factors.vectors)
    return assemble(interactions, factors, recipe, seed=seed, steps=steps)


def factorise(
    user_items: CsrMatrix,
    recipe: Recipe,
    *,
    seed: int,
    steps: Steps,
    start: FloatArray | None = None,
) -> Factors:
    """Return the factors of R under the recipe's exponents, rank and kind of ranker.

    `start` [n, k] are item vectors close to those of R, to come to them sooner.
    """
    with steps("svd"):
        normalised = matrix_of(user_items, recipe)
        values, vectors = truncated_svd(normalised, recipe.rank, seed=seed, start=start)
    eigenvalues = values**2
    with steps("co-occurrence"):
        similar = sparse_part(normalised, eigenvalues, vectors, recipe)
    return Factors(eigenvalues, vectors, similar)


def matrix_of(user_items: CsrMatrix, recipe: Recipe) -> CsrMatrix:
    """Return R under the recipe, CSR float32 [m, n], with a sample of the likes of whoever likes too many."""
    likes = bounded(user_items, recipe.max_likes_per_user)
    return normalise(likes, recipe.user_exponent, recipe.item_exponent)


def sparse_part(
    normalised: CsrMatrix, eigenvalues: FloatArray, vectors: FloatArray, recipe: Recipe
) -> SparsePart:
    """Return the sparse part that goes with these vectors under the recipe's kind of ranker."""
    if recipe.ranker == "cooccurrence":
        return cooccurrence(normalised, keep=recipe.similar_items)
    if recipe.ranker == "blend":
        return residual(normalised, eigenvalues, vectors, keep=recipe.similar_items)
    return no_links(normalised.shape[1])


def assemble(
    interactions: Interactions,
    factors: Factors,
    recipe: Recipe,
    *,
    seed: int,
    steps: Steps,
    indexed: bool = True,
) -> Model:
    """Return the model that the factors give under the recipe.

    They may be of more vectors than the recipe's rank, where it uses no sparse part: the first
    ones are taken then. A sparse part is what just these vectors leave. Where `indexed` is false the
    item index is empty: the model is for the exact scan alone.
    """
    user_items = interactions.user_items
    degrees = item_degrees(user_items)
    spectrum, tail = filtered(factors.eigenvalues[: recipe.rank], recipe)
    vectors = np.ascontiguousarray(factors.vectors[:, : recipe.rank])
    query_weights = power(degrees, -recipe.query_exponent)
    score_weights = power(degrees, recipe.score_exponent)
    linked = weighted(factors.sparse_part.links, tail, query_weights, score_weights)
    with steps("annoy"):
        item_index = _NO_INDEX
        if indexed:
            items = (vectors * score_weights[:, None])[:, : indexed_dimensions(recipe.rank, linked)]
            item_index = AnnoyVectors.build(items, metric="dot", trees=recipe.trees, seed=seed)
        user_index = None
        if recipe.ranker == "neighbours":
            users = neighbours.user_vectors(user_items, query_weights, vectors)
            user_index = AnnoyVectors.build(users, metric="angular", trees=recipe.trees, seed=seed)
    return Model(
        recipe=recipe,
        item_ids=interactions.item_ids,
        item_counts=degrees.astype(np.int32),
        user_items=user_items,
        item_factors=vectors,
        spectrum=spectrum,
        query_weights=query_weights,
        score_weights=score_weights,
        cooccurrence=linked,
        plain_rows=factors.sparse_part.plain,
        doubled=doubled(factors.eigenvalues, tail, recipe),
        item_index=item_index,
        user_index=user_index,
    )


def filtered(eigenvalues: FloatArray, recipe: Recipe) -> tuple[FloatArray, float]:
    """Return the spectral filter h [d] and the factor t of the sparse part.

    The formulas stand in `likewise.ranking.blend`.
    """
    if recipe.ranker == "cooccurrence" or not len(eigenvalues):
        return np.zeros_like(eigenvalues), 1.0
    shrunk = eigenvalues / np.maximum(eigenvalues + np.float32(recipe.ridge), _TINY)
    last = float(eigenvalues[-1])
    blended = recipe.ranker == "blend" and last > _TINY
    return shrunk, float(shrunk[-1]) / last if blended else 0.0


_TINY = np.finfo(np.float32).tiny
_NO_INDEX = AnnoyVectors(None, dimensions=1, metric="dot")


def doubled(eigenvalues: FloatArray, tail: float, recipe: Recipe) -> FloatArray:
    """Return what plain rows of the sparse part hold of each direction that factors hold, [d]."""
    if recipe.ranker != "blend":
        return np.zeros_like(eigenvalues[: recipe.rank])
    return eigenvalues[: recipe.rank] * np.float32(tail)


def power(degrees: NDArray[np.int64], exponent: float) -> FloatArray:
    """Return ``d^exponent`` of each degree, float32; a degree of 0 counts as 1."""
    powers: FloatArray = np.maximum(degrees, 1).astype(np.float32) ** np.float32(exponent)
    return powers


def weighted(
    similar: CsrMatrix, tail: float, query_weights: FloatArray, score_weights: FloatArray
) -> CsrMatrix:
    """Return ``diag(query_weights) (tail similar) diag(score_weights)``; empty where tail is 0."""
    if not tail:
        return empty_matrix(*similar.shape)
    rows = np.repeat(np.arange(similar.shape[0]), np.diff(similar.indptr))
    values = similar.data * query_weights[rows] * score_weights[similar.indices]
    weighted = values * np.float32(tail)
    return sparse.csr_array((weighted, similar.indices, similar.indptr), shape=similar.shape)
