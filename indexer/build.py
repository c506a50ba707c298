"""Building a model: interactions in, arrays out. Pure, but for the timing of its steps.

`factorise` does the costly part, which several recipes can share; `assemble` makes a model from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from indexer.factors import Factors, factorise
from indexer.rows import rows_of
from indexer.steps import Steps
from indexer.warm_start import WarmStart
from likewise.ranking import neighbours
from likewise.ranking.array_types import empty_matrix
from likewise.ranking.degrees import power
from likewise.ranking.index import AnnoyVectors
from likewise.ranking.item_index import build_item_index, kind_for
from likewise.ranking.model import Model
from likewise.ranking.ridge import typical_length

if TYPE_CHECKING:
    from indexer.interactions import Interactions
    from likewise.ranking.array_types import CsrMatrix, FloatArray
    from likewise.ranking.item_index import ItemIndex
    from likewise.ranking.recipe import Recipe
    from likewise.settings.types import IndexChoice


def build_model(
    interactions: Interactions,
    recipe: Recipe,
    *,
    seed: int = 0,
    steps: Steps | None = None,
    warm: WarmStart | None = None,
    index: IndexChoice = "auto",
) -> Model:
    """Return the model of these interactions; the same input gives the same model.

    The vectors of the last build in `warm` are input too, and the new ones replace them. An empty or
    tiny store gives an empty or tiny model, which answers with popular items.
    """
    steps = steps or Steps()
    warm = warm or WarmStart()
    start = warm.vectors(interactions.item_ids, recipe)
    factors = factorise(interactions.user_items, recipe, seed=seed, steps=steps, start=start)
    warm.remember(interactions.item_ids, recipe, factors.vectors)
    return assemble(interactions, factors, recipe, seed=seed, steps=steps, index=index)


def assemble(
    interactions: Interactions,
    factors: Factors,
    recipe: Recipe,
    *,
    seed: int,
    steps: Steps,
    index: IndexChoice | None = "auto",
) -> Model:
    """Return the model that the factors give under the recipe.

    The factors may have more vectors than the recipe's rank if it uses no sparse part; the first ones
    are used then. A sparse part is the remainder for exactly these vectors. Without an `index`, every
    item is scanned.
    """
    rows = rows_of(interactions.user_items)
    user_items = rows.gathered() if recipe.ranker == "neighbours" else rows.resident()
    degrees = rows.item_degrees()
    spectrum, tail = filtered(factors.eigenvalues[: recipe.rank], recipe)
    vectors = np.ascontiguousarray(factors.vectors[:, : recipe.rank])
    query_weights = power(degrees, -recipe.query_exponent)
    score_weights = power(degrees, recipe.score_exponent)
    linked = weighted(factors.sparse_part.links, tail, query_weights, score_weights)
    with steps("annoy"):
        item_index: ItemIndex | None = None
        if index is not None:
            kind = kind_for(index, len(vectors)) if spectrum.any() else "annoy"
            linked_too, trees = bool(linked.nnz), recipe.trees
            item_index = build_item_index(
                vectors, score_weights, kind, linked=linked_too, trees=trees, seed=seed
            )
        user_index = None
        if recipe.ranker == "neighbours":
            users = neighbours.user_vectors(user_items, query_weights, vectors)
            user_index = AnnoyVectors.build(users, metric="angular", trees=recipe.trees, seed=seed)
    return Model(
        recipe=recipe,
        item_ids=interactions.item_ids,
        item_counts=rows.item_counts().astype(np.int32),
        n_users=rows.shape[0],
        n_likes=rows.nnz,
        typical_likes=typical_length(rows.lengths()),
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
        item_weights=None if degrees.dtype.kind == "i" else degrees.astype(np.float64),
    )


def filtered(eigenvalues: FloatArray, recipe: Recipe) -> tuple[FloatArray, float]:
    """Return the spectral filter h [d] and the factor t of the sparse part.

    The formulas are in `likewise.ranking.blend`.
    """
    if recipe.ranker == "cooccurrence" or not len(eigenvalues):
        return np.zeros_like(eigenvalues), 1.0
    shrunk = eigenvalues / np.maximum(eigenvalues + np.float32(recipe.ridge), _TINY)
    last = float(eigenvalues[-1])
    blended = recipe.continued and last > _TINY
    return shrunk, float(shrunk[-1]) / last if blended else 0.0


_TINY = np.finfo(np.float32).tiny


def doubled(eigenvalues: FloatArray, tail: float, recipe: Recipe) -> FloatArray:
    """Return what plain rows of the sparse part hold of each direction that factors hold, [d]."""
    if not recipe.continued:
        return np.zeros_like(eigenvalues[: recipe.rank])
    return eigenvalues[: recipe.rank] * np.float32(tail)


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
