"""A model in memory: the arrays that every ranker reads, by name and shape.

`n` items, `m` users, rank `d`. A model has user ids only if `model.user_ids` is set: a user is
described by the likes read at request time, and a user forgotten in Redis can't be found in a
model either.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from likewise.messages.ids import ItemId, ItemRow, UserId
from likewise.ranking import ridge

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from likewise.ranking.array_types import CsrMatrix, FloatArray, IntArray
    from likewise.ranking.by_length import ByLength
    from likewise.ranking.index import AnnoyVectors
    from likewise.ranking.item_index import ItemIndex
    from likewise.ranking.recipe import Recipe


@dataclass(frozen=True)
class Model:
    """Everything a ranker needs; arrays may be read-only memory maps."""

    recipe: Recipe
    item_ids: list[ItemId]
    item_counts: IntArray
    """[n] how many users like the item, or have a weighted signal for it."""
    n_users: int
    """Users of the snapshot: m."""
    n_likes: int
    """Entries of the interaction matrix."""
    typical_likes: float
    """The geometric mean of how many items a user likes; 1 if nobody likes any."""
    user_items: CsrMatrix
    """CSR [m, n] float32, who likes what in the snapshot: ones, or the weights of each pair's signals.

    [0, n] in a model from disk unless its ranker is `neighbours` or it has user ids: nothing else reads it.
    """
    item_factors: FloatArray
    """[n, d] right singular vectors V of the normalised matrix."""
    spectrum: FloatArray
    """[d] the filter f(s) on the singular values, for a user of `typical_likes`."""
    query_weights: FloatArray
    """[n] what a like of the item weighs in a query's vector."""
    score_weights: FloatArray
    """[n] what an item's score is multiplied by."""
    cooccurrence: CsrMatrix
    """CSR [n, n] float32: row j holds what a like of item j adds to other items' scores.

    For a user of `typical_likes`; `likewise.ranking.ridge` has the others.
    """
    plain_rows: NDArray[np.bool_]
    """[n] which of its rows hold what the factors hold, too: `likewise.ranking.blend`."""
    doubled: FloatArray
    """[d] how much of each direction these rows hold, for a user of `typical_likes`."""
    item_index: ItemIndex | None
    """Over the item vectors times the score weights; without it every item is scanned."""
    user_index: AnnoyVectors | None
    """Over the m user vectors, metric angular; only where the ranker is `neighbours`."""
    decayed_counts: FloatArray | None = None
    """[n] weights by item, older ones counting less; None where `model.popular_half_life_s` is."""
    item_weights: NDArray[np.float64] | None = None
    """[n] the sum of each item's weights; None with likes alone, where `item_counts` is that."""
    user_ids: list[UserId] | None = None
    """[m] the users of the rows of `user_items`; None unless `model.user_ids` is set."""

    @cached_property
    def item_rows(self) -> dict[ItemId, ItemRow]:
        """The row of every known item."""
        return {item_id: ItemRow(row) for row, item_id in enumerate(self.item_ids)}

    @cached_property
    def by_length(self) -> ByLength | None:
        """The order of a scan that need not score every item; None where there is none."""
        from likewise.ranking.by_length import ByLength

        return ByLength.of(self)

    @cached_property
    def user_norms(self) -> FloatArray:
        """[m] the lengths of the users' vectors: `likewise.ranking.user_norms`."""
        from likewise.ranking.user_norms import user_norms

        return user_norms(self.user_items, self.query_weights, self.item_factors)

    @cached_property
    def largest_score_weight(self) -> float:
        """The largest of `score_weights`; 0 without items."""
        return float(self.score_weights.max(initial=0))

    def relative_ridges(self, n_likes: NDArray[np.integer]) -> FloatArray:
        """Return the ridge for users of so many likes [B] by that for a typical one."""
        return ridge.relative_ridges(self.recipe, self.typical_likes, n_likes)

    @cached_property
    def popularity(self) -> FloatArray | IntArray:
        """[n] what popular items are ordered by: the sum of weights, older ones counting less if so set."""
        if self.decayed_counts is not None:
            return self.decayed_counts
        return self.item_counts if self.item_weights is None else self.degrees.astype("float32")

    @property
    def degrees(self) -> IntArray | NDArray[np.float64]:
        """[n] the sums of the columns of the interaction matrix."""
        return self.item_counts if self.item_weights is None else self.item_weights

    @cached_property
    def most_popular(self) -> frozenset[ItemId]:
        """The most popular hundredth of the items, at least one."""
        rows = self.popular_rows[: max(len(self.item_ids) // 100, 1)].tolist()
        return frozenset(self.item_ids[row] for row in rows)

    @cached_property
    def popular_rows(self) -> NDArray[np.intp]:
        """[n] item rows, most popular first; equal ones by their likes, then by id."""
        import numpy as np

        return np.lexsort((-self.item_counts, -self.popularity))
