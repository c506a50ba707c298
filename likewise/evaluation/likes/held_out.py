"""One measurement: the likes that models are fitted on, and the likes they should predict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

from indexer.interactions import Interactions

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from likewise.evaluation.likes.table import LikeTable, Split
    from likewise.ranking.array_types import CsrMatrix


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """The likes to fit on, and the held-out likes of each user who has any.

    All row numbers are those of `fit`. Models built from `fit` have the same item rows.
    """

    fit: Interactions
    user_rows: NDArray[np.intp]
    """[users] rows in `fit`; -1 for a user without likes there."""
    wanted: CsrMatrix
    """CSR [users, items of fit], the held-out likes. Items that are not in `fit` are omitted, since no
    model could recommend them."""
    wanted_counts: NDArray[np.intp]
    """[users] number of held-out likes, including items that are not in `fit`; at least 1."""

    @property
    def activity(self) -> NDArray[np.intp]:
        """[users] number of likes in `fit`."""
        return np.array([len(liked) for liked in self.liked()], np.intp)

    def liked(self) -> list[NDArray[np.intp]]:
        """Return the items that each user likes in `fit`, in order of row."""
        indptr, indices = self.fit.user_items.indptr, self.fit.user_items.indices.astype(np.intp)
        return [
            indices[indptr[row] : indptr[row + 1]] if row >= 0 else indices[:0]
            for row in self.user_rows
        ]


def hold_out(
    likes: LikeTable, splits: NDArray[np.int8], *, fit: Collection[Split], wanted: Split
) -> HeldOut:
    """Return the measurement that fits on some splits and predicts the likes of another."""
    users, items = likes.users, likes.interactions.user_items.indices
    fitted = np.isin(splits, list(fit))
    fit_users, row_of_fitted = np.unique(users[fitted], return_inverse=True)
    fit_items, column_of_fitted = np.unique(items[fitted], return_inverse=True)
    shape = (len(fit_users), len(fit_items))
    ones = np.ones(len(row_of_fitted), np.float32)
    user_items = csr_array((ones, (row_of_fitted, column_of_fitted)), shape=shape)
    user_items.sort_indices()
    interactions = Interactions(
        user_items,
        [likes.interactions.user_ids[user] for user in fit_users],
        [likes.interactions.item_ids[item] for item in fit_items],
    )
    asked = splits == wanted
    asked_users, query_of_asked = np.unique(users[asked], return_inverse=True)
    columns = _places(fit_items, items[asked])
    there = columns >= 0
    entries = (np.ones(there.sum(), np.float32), (query_of_asked[there], columns[there]))
    return HeldOut(
        interactions,
        _places(fit_users, asked_users),
        csr_array(entries, shape=(len(asked_users), len(fit_items))),
        np.bincount(query_of_asked, minlength=len(asked_users)),
    )


def _places(table: NDArray[np.integer], values: NDArray[np.integer]) -> NDArray[np.intp]:
    """Return the index of each value in the sorted table; -1 if it is not there."""
    places = np.minimum(np.searchsorted(table, values), max(len(table) - 1, 0))
    found = table[places] == values if len(table) else np.zeros(len(values), np.bool_)
    return np.where(found, places, -1)
