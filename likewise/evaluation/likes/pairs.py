"""Pairs of a user and an item from several tables, numbered by the same users and items."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.sparse import csr_array

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from likewise.evaluation.likes.table import LikeTable
    from likewise.messages.ids import ItemId, UserId
    from likewise.ranking.array_types import CsrMatrix, FloatArray


class Pairs(NamedTuple):
    """Pairs, as the numbers of their users and items; none is twice in it."""

    users: NDArray[np.intp]
    items: NDArray[np.intp]

    def where(self, chosen: NDArray[np.bool_]) -> Pairs:
        """Return the chosen pairs; `chosen` is [pairs]."""
        return Pairs(self.users[chosen], self.items[chosen])

    def among(self, others: Pairs, n_items: int) -> NDArray[np.bool_]:
        """Return which pairs [pairs] are also in `others`."""
        return np.isin(self.users * n_items + self.items, others.users * n_items + others.items)


class Common(NamedTuple):
    """The users and items of several tables, sorted, and the pairs of each table in their numbers."""

    user_ids: list[UserId]
    item_ids: list[ItemId]
    pairs: list[Pairs]


def in_common(tables: Sequence[LikeTable]) -> Common:
    """Return the pairs of all tables with common numbers; those of one table keep its own."""
    if len(tables) == 1:
        interactions = tables[0].interactions
        columns = interactions.user_items.indices.astype(np.intp)
        return Common(
            interactions.user_ids, interactions.item_ids, [Pairs(tables[0].users, columns)]
        )
    user_ids = sorted({user for table in tables for user in table.interactions.user_ids})
    item_ids = sorted({item for table in tables for item in table.interactions.item_ids})
    user_of = {user: number for number, user in enumerate(user_ids)}
    item_of = {item: number for number, item in enumerate(item_ids)}
    pairs = []
    for table in tables:
        interactions = table.interactions
        users = np.array([user_of[user] for user in interactions.user_ids], np.intp)
        items = np.array([item_of[item] for item in interactions.item_ids], np.intp)
        pairs.append(Pairs(users[table.users], items[interactions.user_items.indices]))
    return Common(user_ids, item_ids, pairs)


def merged(parts: Sequence[tuple[float, Pairs]], n_items: int) -> tuple[Pairs, FloatArray]:
    """Return every pair once, sorted, with the weight of the last part that has it."""
    users = np.concatenate([pairs.users for _, pairs in parts])
    items = np.concatenate([pairs.items for _, pairs in parts])
    lengths = [len(pairs.users) for _, pairs in parts]
    weights = np.repeat(np.array([weight for weight, _ in parts], np.float32), lengths)
    keys = users * n_items + items
    order = np.argsort(keys, kind="stable")  # so that parts stay in order
    last = np.ones(len(order), np.bool_)
    last[:-1] = np.diff(keys[order]) != 0
    kept = order[last]
    return Pairs(users[kept], items[kept]), weights[kept]


def places_in(table: NDArray[np.integer], values: NDArray[np.integer]) -> NDArray[np.intp]:
    """Return the index of each value in the sorted table; -1 if it is not there."""
    places = np.minimum(np.searchsorted(table, values), max(len(table) - 1, 0))
    found = table[places] == values if len(table) else np.zeros(len(values), np.bool_)
    return np.where(found, places, -1)


def matrix_of(
    pairs: Pairs, values: FloatArray | float, users: NDArray[np.integer], items: NDArray[np.integer]
) -> CsrMatrix:
    """Return the pairs of these users and items as CSR [users, items]; others are left out.

    Both tables are sorted.
    """
    rows, columns = places_in(users, pairs.users), places_in(items, pairs.items)
    there = (rows >= 0) & (columns >= 0)
    data = np.broadcast_to(np.float32(values), len(rows))[there]
    matrix = csr_array((data, (rows[there], columns[there])), shape=(len(users), len(items)))
    matrix.sort_indices()
    return matrix
