"""The items that the index finds near the queries of a batch, and more of them for a query that may show few."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from likewise.ranking.array_types import FloatArray
    from likewise.ranking.item_index import ItemIndex
    from likewise.ranking.model import Model

    Within = Callable[[NDArray[np.intp]], NDArray[np.intp]]

# Items to find, next to the likes, which are near themselves; of these, so many are searched past at once.
_NEAR = 256
_BANNED = 512
# If no more may be shown, all of them are near.
_FEW = 2048


class NearItems(NamedTuple):
    """The near items of each query of a batch, as far as they were found together."""

    searcher: ItemIndex
    vectors: FloatArray
    """[B, indexed dimensions]"""
    found: list[NDArray[np.intp]]
    wanted: int
    asked: int
    allowed: NDArray[np.bool_] | None
    """[n]"""
    n_items: int
    alone: bool

    @classmethod
    def of(
        cls,
        model: Model,
        vectors: FloatArray,
        count: int,
        n_banned: int,
        outside: NDArray[np.bool_] | None,
    ) -> Self | None:
        """Search for items to choose `count` from, where a query bans up to `n_banned`; None without index."""
        index = model.item_index
        if index is None:
            return None
        wanted = max(_NEAR, 4 * count)
        asked = wanted + min(n_banned, _BANNED)
        allowed = None if outside is None else ~outside
        alone = not model.cooccurrence.nnz
        vectors = np.ascontiguousarray(vectors[:, : index.dimensions])
        found = index.near(vectors, asked, allowed=allowed, alone=alone)
        n_items = len(model.item_ids)
        return cls(index, vectors, found, wanted, asked, allowed, n_items, alone)

    @property
    def precise(self) -> bool:
        """Whether nearly all near items are among them."""
        return self.searcher.precise

    def of_query(self, number: int, within: Within) -> NDArray[np.intp]:
        """Return the near items of one query that are `within` what it may show.

        Searches further if these are few, in the end among all items.
        """
        kept = within(self.found[number])
        asked = self.asked
        while len(kept) < self.wanted // 2 and asked < self.n_items:
            everything = (
                np.arange(self.n_items) if self.allowed is None else np.flatnonzero(self.allowed)
            )
            if len(everything) <= _FEW:
                return within(everything)
            asked *= 4
            vector = self.vectors[number : number + 1]
            (found,) = self.searcher.near(vector, asked, allowed=self.allowed, alone=True)
            kept = within(found)
        return kept
