"""Trying many recipes on one factorisation: what changes between them is weights and filters.

The vectors of the largest rank serve all smaller ones. The sparse part of a blend is what exactly its
vectors leave of the co-occurrence, so there is one for each rank, made when it is first asked for:
a part made for more vectors would rank otherwise once it is cut.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from indexer.build import assemble
from indexer.factors import Factors, matrix_of, sparse_part
from indexer.progress import Unwatched
from indexer.steps import Steps
from indexer.svd import truncated_svd
from likewise.evaluation.metrics.lists import METRICS, per_user
from likewise.evaluation.ranking import rank

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from indexer.links import SparsePart
    from likewise.evaluation.likes.held_out import HeldOut
    from likewise.ranking.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Trial:
    """A recipe and how it did on the validation likes of some users."""

    recipe: Recipe
    recall: float
    ndcg: float
    of_users: NDArray[np.float64] = field(compare=False, repr=False)
    """[users] the score of each, in the order asked."""

    @property
    def score(self) -> float:
        """What the search maximises."""
        return (self.recall + self.ndcg) / 2

    def keeps_up_with(self, best: Trial) -> bool:
        """Whether it is worse by no more than a paired standard error, on the same users."""
        lost = best.of_users - self.of_users
        return bool(lost.mean() <= lost.std() / np.sqrt(max(len(lost), 1)))


class Workbench:
    """The factors of one matrix, on which recipes of its exponents and of no larger rank are tried."""

    def __init__(
        self, held_out: HeldOut, base: Recipe, largest_rank: int, *, k: int, seed: int
    ) -> None:
        """Factorise the matrix that `base` says, which may take long."""
        self._held_out = held_out
        self._k = k
        self._seed = seed
        self._queries = held_out.queries()
        user_items = held_out.fit.user_items
        self._normalised = matrix_of(user_items, base)
        values, self._vectors = truncated_svd(self._normalised, largest_rank, seed=seed)
        self._eigenvalues = values**2
        self._sparse_parts: dict[tuple[str, int, int, float], SparsePart] = {}

    def try_out(self, recipe: Recipe, users: NDArray[np.intp]) -> Trial:
        """Return how the recipe ranks for these users of the measurement, by the exact scan."""
        model = assemble(
            self._held_out.fit,
            self._factors(recipe),
            recipe,
            seed=self._seed,
            steps=Steps(),
            index=None,
        )
        lists = rank(
            model,
            [self._queries[user] for user in users],
            k=self._k,
            progress=Unwatched(),
            exact_items_limit=len(self._held_out.fit.item_ids),
        )
        found = per_user(lists.top, self._held_out, users)
        recall, ndcg = found[:, METRICS.index("recall")], found[:, METRICS.index("ndcg")]
        return Trial(recipe, float(recall.mean()), float(ndcg.mean()), (recall + ndcg) / 2)

    def _factors(self, recipe: Recipe) -> Factors:
        eigenvalues = self._eigenvalues[: recipe.rank]
        vectors = np.ascontiguousarray(self._vectors[:, : recipe.rank])
        ridge = recipe.ridge if recipe.ranker == "ridge" else 0.0
        key = (recipe.ranker, recipe.rank, recipe.similar_items, ridge)
        if key not in self._sparse_parts:
            self._sparse_parts[key] = sparse_part(self._normalised, eigenvalues, vectors, recipe)
        return Factors(eigenvalues, vectors, self._sparse_parts[key])
