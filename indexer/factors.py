"""The factors of a build: the costly part, which several recipes can share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from indexer.cooccurrence import cooccurrence, no_links, residual
from indexer.regression import regression
from indexer.svd import normalise, truncated_svd
from likewise.ranking.sampling import bounded

if TYPE_CHECKING:
    from indexer.cooccurrence import SparsePart
    from indexer.steps import Steps
    from likewise.ranking.array_types import CsrMatrix, FloatArray
    from likewise.ranking.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Factors:
    """The costly part of a build. It depends on a recipe's exponents, rank and kind of ranker alone; of `ridge` also on
    its ridge.
    """

    eigenvalues: FloatArray
    """[d] of R'R, descending: the squares of R's singular values."""
    vectors: FloatArray
    """[n, d] right singular vectors of R."""
    sparse_part: SparsePart
    """R'R, or what the vectors leave of it, cut to its strongest entries."""


def factorise(
    user_items: CsrMatrix,
    recipe: Recipe,
    *,
    seed: int,
    steps: Steps,
    start: FloatArray | None = None,
) -> Factors:
    """Return the factors of R under the recipe's exponents, rank and kind of ranker.

    `start` [n, k] are item vectors close to those of R; they speed up convergence.
    """
    with steps("svd"):
        normalised = matrix_of(user_items, recipe)
        values, vectors = truncated_svd(normalised, recipe.rank, seed=seed, start=start)
    eigenvalues = values**2
    with steps("co-occurrence"):
        similar = sparse_part(normalised, eigenvalues, vectors, recipe)
    return Factors(eigenvalues, vectors, similar)


def matrix_of(user_items: CsrMatrix, recipe: Recipe) -> CsrMatrix:
    """Return R under the recipe, CSR float32 [m, n], with a sample of the likes of users with too many."""
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
    if recipe.ranker == "ridge":
        ridge, keep = recipe.ridge, recipe.similar_items
        return regression(normalised, eigenvalues, vectors, ridge=ridge, keep=keep)
    return no_links(normalised.shape[1])
