"""Items that came after a model, ranked next to its own.

They are scored as the model scores: by what its directions and its links give them, for the same likes
with the same weights (`likewise.ranking.blend`; all links of an addition are plain). So their scores
compare with those of the model's items, and the two lists are merged by score.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np

from likewise.ranking import spectral
from likewise.ranking.cooccurrence import tails_of
from likewise.ranking.degrees import power
from likewise.ranking.new_rows import new_rows
from likewise.ranking.ridge import filters, like_counts

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from numpy.typing import NDArray

    from likewise.messages.ids import ItemId, UserId
    from likewise.ranking.array_types import CsrMatrix, FloatArray, IntArray
    from likewise.ranking.model import Model


@dataclass(frozen=True)
class Additions:
    """Items that one model does not know, and what it takes to score them. m items, rank d."""

    item_ids: list[ItemId]
    counts: IntArray
    """[m] how many users like each."""
    links: CsrMatrix
    """CSR [n, m] float32: row j holds what a like of item j adds to the scores, for a typical user."""
    vectors: FloatArray
    """[m, d], times what a score of the item is multiplied by; [m, 0] without directions."""

    @classmethod
    def of(
        cls,
        model: Model,
        likers: Mapping[ItemId, Collection[UserId]],
        likes: Mapping[UserId, Collection[ItemId]],
    ) -> Self:
        """Return the items with these likers; `likes` has everything that each liker likes.

        The model is one that `likewise.ranking.new_rows.supports`.
        """
        counts = np.array([len(users) for users in likers.values()], np.int32)
        weights = power(counts, model.recipe.score_exponent)
        rows = new_rows(model, [*likers.values()], likes)
        similar = rows.similar
        values = similar.data * np.repeat(weights, np.diff(similar.indptr))
        values *= model.query_weights[similar.indices] * np.float32(rows.tail)
        similar.data = values
        return cls([*likers], counts, similar.T.tocsr(), rows.vectors * weights[:, None])

    @cached_property
    def places(self) -> dict[ItemId, int]:
        """The place of each item."""
        return {item_id: place for place, item_id in enumerate(self.item_ids)}

    def scores(self, model: Model, likes: CsrMatrix) -> FloatArray:
        """Return the score of every addition for every query, [B, m]; `likes` is CSR [B, n]."""
        ratios = model.relative_ridges(like_counts(likes))
        tails = tails_of(model, like_counts(likes))[:, None]
        scored: FloatArray = (likes @ self.links).toarray() * tails
        if self.vectors.shape[1]:
            folded = spectral.projected(model, likes, spectral.weights_of(model, likes))
            folded *= filters(model.spectrum, ratios) - tails * model.doubled
            scored += folded @ self.vectors.T
        return scored

    def contributions(
        self,
        model: Model,
        liked: NDArray[np.intp],
        weights: FloatArray | None,
        places: NDArray[np.intp],
    ) -> FloatArray:
        """Return what each liked item [L] adds to the score of each of the additions, [k, L]."""
        n_likes = np.array([len(liked) if weights is None else int((weights > 0).sum())])
        (tail,) = tails_of(model, n_likes)
        shares: FloatArray = tail * self.links[liked][:, places].toarray().T
        if self.vectors.shape[1]:
            (ours,) = filters(model.spectrum, model.relative_ridges(n_likes))
            towards = self.vectors[places] * (ours - tail * model.doubled)
            shares += (towards @ model.item_factors[liked].T) * model.query_weights[liked]
        return shares if weights is None else shares * weights
