"""The interaction matrix: who likes what, and with which weight, the input of a model.

The same likes and signals always give the same matrix, element for element, in any order of reading, from a full
or an incremental snapshot.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import chain, compress
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.sparse import csr_array, get_index_dtype

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from numpy.typing import NDArray

    from likewise.messages.ids import ItemId, UserId
    from likewise.ranking.array_types import FloatArray


class UserLikes(NamedTuple):
    """Users, and the items that each of them likes, in the same order.

    `weights` has one positive number for each of these items, in the order of iteration; None if all
    are 1.
    """

    users: Sequence[UserId]
    likes: Sequence[Collection[ItemId]]
    weights: FloatArray | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Interactions:
    """The interaction matrix with its tables.

    `user_items` is CSR, float32, the weight of each pair (1.0 for a like), indices sorted, shape
    (len(user_ids), len(item_ids)). Both tables are sorted; no row and no column is empty.
    """

    user_items: csr_array[np.float32, tuple[int, int]]
    user_ids: list[UserId]
    item_ids: list[ItemId]

    @property
    def likes(self) -> int:
        """The number of pairs of a user and an item with a weight: with likes alone, of likes."""
        return int(self.user_items.nnz)

    def without(self, users: Collection[UserId]) -> tuple[Interactions, int]:
        """Return the interactions of all other users, and how many of these users there were."""
        present = frozenset(users).intersection(self.user_ids)
        if not present:
            return self, 0
        return replace_users(self, present, interactions_of([])), len(present)


def interactions_of(chunks: Iterable[UserLikes]) -> Interactions:
    """Return the interactions of all these users; each user may come only once.

    Users without likes are left out. No users give a matrix of shape (0, 0).
    """
    user_ids: list[UserId] = []
    codes: defaultdict[ItemId, int] = defaultdict()
    codes.default_factory = codes.__len__  # a new item gets the next number
    lengths, columns, weights = [_NONE], [_NONE], list["FloatArray | None"]()
    for users, likes, their_weights in chunks:
        user_ids.extend(users)
        lengths.append(np.fromiter(map(len, likes), np.int32, len(likes)))
        coded = map(codes.__getitem__, chain.from_iterable(likes))
        columns.append(np.fromiter(coded, np.int32, int(lengths[-1].sum())))
        weights.append(their_weights)
    return _in_order(
        user_ids,
        list(codes),
        np.concatenate(lengths),
        np.concatenate(columns),
        _joined(weights, columns[1:]),
    )


def replace_users(
    before: Interactions, changed: Collection[UserId], now: Interactions
) -> Interactions:
    """Return `before` with the rows of all `changed` users taken out and those of `now` put in.

    `now` has exactly the changed users who still have likes. The result equals `interactions_of` of
    all users.
    """
    changed = frozenset(changed)
    stays = np.fromiter((user not in changed for user in before.user_ids), np.bool_)
    lengths = np.diff(before.user_items.indptr)
    kept = np.repeat(stays, lengths)
    codes = {item: code for code, item in enumerate(before.item_ids)}
    renumbered = [codes.setdefault(item, len(codes)) for item in now.item_ids]
    return _in_order(
        [*compress(before.user_ids, stays), *now.user_ids],
        list(codes),
        np.concatenate([lengths[stays], np.diff(now.user_items.indptr)]),
        np.concatenate(
            [
                before.user_items.indices[kept],
                np.array(renumbered, np.int32)[now.user_items.indices],
            ]
        ),
        np.concatenate([before.user_items.data[kept], now.user_items.data]),
    )


def _joined(
    weights: Sequence[FloatArray | None], columns: Sequence[NDArray[np.int32]]
) -> FloatArray | None:
    """Return the weights of all chunks, one after another; None if all are 1."""
    if all(some is None for some in weights):
        return None
    pairs = zip(weights, columns, strict=True)
    return np.concatenate(
        [np.ones(len(their), np.float32) if some is None else some for some, their in pairs]
    )


_NONE: NDArray[np.int32] = np.empty(0, np.int32)


def _in_order(
    user_ids: list[UserId],
    item_ids: list[ItemId],
    lengths: NDArray[np.integer],
    columns: NDArray[np.integer],
    weights: FloatArray | None,
) -> Interactions:
    """Return the matrix whose rows have these lengths, columns and weights, concatenated.

    Sorts both tables and omits items without likes and users without likes.
    """
    rows = sorted(np.flatnonzero(lengths).tolist(), key=user_ids.__getitem__)
    liked = np.flatnonzero(np.bincount(columns, minlength=len(item_ids))).tolist()
    liked.sort(key=item_ids.__getitem__)
    renumbered = np.empty(len(item_ids), np.int32)
    renumbered[liked] = np.arange(len(liked), dtype=np.int32)
    as_read = csr_array(
        (
            np.ones(len(columns), np.float32) if weights is None else weights,
            renumbered[columns],
            np.concatenate([[0], np.cumsum(lengths)]).astype(get_index_dtype(maxval=len(columns))),
        ),
        shape=(len(user_ids), len(liked)),
    )
    user_items = as_read[np.array(rows, np.intp)]
    user_items.sort_indices()
    return Interactions(
        user_items,
        [user_ids[row] for row in rows],
        [item_ids[column] for column in liked],
    )
