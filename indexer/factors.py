"""The factors of a build: the costly part, which several recipes can share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from indexer.cooccurrence import cooccurrence, no_links, residual
from indexer.regression import regression
from indexer.rows import LocalRows, rows_of
from indexer.svd import truncated_svd

if TYPE_CHECKING:
    from indexer.links import SparsePart
    from indexer.rows import Matrix
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


class SharedFactors:
    """The factors of one matrix, for recipes with the same exponents and no larger a rank than a first one."""

    def __init__(
        self,
        user_items: Matrix,
        recipe: Recipe,
        *,
        seed: int,
        steps: Steps,
        start: FloatArray | None = None,
    ) -> None:
        """Factorise R under the recipe. `start` [n, k] are item vectors close to those of R; they speed it up."""
        self._steps = steps
        with steps("svd"):
            self._normalised = rows_of(user_items).normalised(recipe)
            values, self.vectors = truncated_svd(
                self._normalised, recipe.rank, seed=seed, start=start
            )
        self._eigenvalues = values**2
        self._made: dict[tuple[str, int, float], Factors] = {}

    def of(self, recipe: Recipe) -> Factors:
        """Return the factors with the sparse part of this kind of ranker, which is made once."""
        key = (
            recipe.ranker,
            recipe.similar_items,
            recipe.ridge if recipe.ranker == "ridge" else 0.0,
        )
        if key not in self._made:
            with self._steps("co-occurrence"):
                similar = sparse_part(self._normalised, self._eigenvalues, self.vectors, recipe)
            self._made[key] = Factors(self._eigenvalues, self.vectors, similar)
        return self._made[key]


def factorise(
    user_items: Matrix,
    recipe: Recipe,
    *,
    seed: int,
    steps: Steps,
    start: FloatArray | None = None,
) -> Factors:
    """Return the factors of R under the recipe; `SharedFactors` has the arguments."""
    return SharedFactors(user_items, recipe, seed=seed, steps=steps, start=start).of(recipe)


def matrix_of(user_items: CsrMatrix, recipe: Recipe) -> CsrMatrix:
    """Return R under the recipe, CSR float32 [m, n], with a sample of the likes of users with too many."""
    return LocalRows(user_items).normalised(recipe)


def sparse_part(
    normalised: Matrix, eigenvalues: FloatArray, vectors: FloatArray, recipe: Recipe
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
