"""What is asked of a model, by ids and by the rows of its tables, and the way from one to the other."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, pairwise, repeat
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import sparse

from likewise.messages.ids import ItemId, ItemRow

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from numpy.typing import NDArray

    from likewise.ranking.array_types import CsrMatrix
    from likewise.ranking.model import Model

NO_ROWS = np.zeros(0, np.intp)


@dataclass(frozen=True, slots=True)
class Query:
    """What one request ranks by, and what it must not be given."""

    liked: Collection[ItemId]
    banned: Collection[ItemId]
    count: int
    explain: int = 0
    """How many of the likes to name for each item; 0 for none."""
    diversity: float = 0.0
    """From 0 to 1: how much an item counts less that is like those before it."""
    novelty: float = 0.0
    """From 0 to 1: how much popular items count less."""
    fill: bool = True
    """Whether popular items follow those that the model has evidence for."""


class RowQuery(NamedTuple):
    """A query in rows of one model's tables: each array sorted, no row twice."""

    liked: NDArray[np.intp]
    banned: NDArray[np.intp]
    limit: int
    """How many items to return; as many as there are, at most."""
    diversity: float = 0.0
    novelty: float = 0.0
    fill: bool = True


def in_rows(model: Model, queries: Sequence[Query]) -> list[RowQuery]:
    """Return the queries with rows in place of ids."""
    liked = rows_of_each(model, [query.liked for query in queries])
    # Nearly all ban what they like and nothing else: then the rows are there already.
    others = [query.banned for query in queries if query.banned is not query.liked]
    banned = iter(rows_of_each(model, others))
    return [
        RowQuery(
            rows,
            rows if query.banned is query.liked else next(banned),
            query.count,
            query.diversity,
            query.novelty,
            query.fill,
        )
        for query, rows in zip(queries, liked, strict=True)
    ]


def rows_of_each(model: Model, asked: Sequence[Collection[ItemId]]) -> list[NDArray[np.intp]]:
    """Return the rows of the items that the model knows, for each: in order, none twice.

    All are looked up and sorted together, as numbers that say whose they are: that costs a tenth
    of doing it for each.
    """
    n_items = len(model.item_ids)
    if not asked or not n_items:
        return [NO_ROWS] * len(asked)
    lengths = [len(items) for items in asked]
    found = map(model.item_rows.get, chain.from_iterable(asked), repeat(ItemRow(-1)))
    rows = np.fromiter(found, np.intp, sum(lengths))
    numbered = (rows + n_items * np.repeat(np.arange(len(asked)), lengths))[rows >= 0]
    numbered.sort()
    first = np.ones(len(numbered), np.bool_)
    np.not_equal(numbered[1:], numbered[:-1], out=first[1:])
    numbered = numbered[first]
    ends = np.searchsorted(numbered, n_items * np.arange(len(asked) + 1)).tolist()
    numbered %= n_items
    return [numbered[start:end] for start, end in pairwise(ends)]


def as_csr(liked: list[NDArray[np.intp]], n_items: int) -> CsrMatrix:
    """Return the rows liked as a matrix of ones, CSR [B, n]."""
    lengths = [len(rows) for rows in liked]
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    indices = joined(liked)
    ones = np.ones(len(indices), np.float32)
    return sparse.csr_array((ones, indices, indptr), shape=(len(liked), n_items))


def joined(rows: Iterable[NDArray[np.intp]]) -> NDArray[np.intp]:
    """Return the rows one after another."""
    return np.concatenate([NO_ROWS, *rows])
