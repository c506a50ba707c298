"""Queries of a model, by item ids and by the rows of its tables, and the conversion between them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, pairwise, repeat
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from scipy import sparse

from likewise.messages.ids import ItemId, ItemRow
from likewise.ranking.sampling import sampled, sampled_with_weights

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from likewise.ranking.array_types import CsrMatrix, FloatArray, IntArray
    from likewise.ranking.model import Model

NO_ROWS = np.zeros(0, np.intp)
Source = Literal["model", "popular"]


@dataclass(frozen=True, slots=True)
class Query:
    """What one request ranks by, and what it must not return.

    Arrays have one entry for each item of the model that is asked. They may be shared between
    queries, and nobody modifies them; queries with the same `allowed` array are ranked together.
    """

    liked: Collection[ItemId]
    banned: Collection[ItemId]
    count: int
    explain: int = 0
    """How many of the likes to name for each item; 0 for none."""
    diversity: float = 0.0
    """From 0 to 1: how strongly an item is moved back that is similar to those before it."""
    novelty: float = 0.0
    """From 0 to 1: how strongly popular items are moved back."""
    fill: bool = True
    """Whether popular items follow those that the model has evidence for."""
    weights: Mapping[ItemId, float] | None = None
    """Finite weights in place of 1, also of items that are not in `liked`; below 0 for a dislike."""
    allowed: NDArray[np.bool_] | None = None
    """[n] which items may be returned; None for all."""
    only: Collection[ItemId] | None = None
    """The only items that may be returned. With `fill`, all of them that the model knows are ranked."""
    boost: FloatArray | None = None
    """[n] finite factors of 0 and above, which positive scores are multiplied by."""
    demoted: Mapping[ItemId, float] | None = None
    """Factors from 0 to 1, which the positive scores of these items are multiplied by."""
    max_per: tuple[IntArray, int] | None = None
    """[n] the group of each item, -1 for none, and how many items of one group to return."""
    pins: tuple[tuple[ItemId, int], ...] = ()
    """Items and their places, from 1."""
    source: Source = "model"
    """`popular` ranks by popularity alone."""
    additions: AdditionRules | None = None
    """`allowed`, `boost` and the groups of `max_per` for additions."""


class AdditionRules(NamedTuple):
    """What the rules of a query say about items that the model does not know, in the order of those.

    Without `allowed`, a query that has a mask shows none of them.
    """

    allowed: NDArray[np.bool_] | None = None
    boost: FloatArray | None = None
    groups: IntArray | None = None
    """Codes that compare with those of `Query.max_per`."""


class Rules(NamedTuple):
    """The rules of a query in rows: `Query` says what each of them means."""

    allowed: NDArray[np.bool_] | None = None
    only: NDArray[np.intp] | None = None
    """Sorted, no row twice."""
    boost: FloatArray | None = None
    demoted: tuple[NDArray[np.intp], FloatArray] | None = None
    """Sorted rows and their factors."""
    max_per: tuple[IntArray, int] | None = None

    def shown(self) -> NDArray[np.intp]:
        """Return the rows that `only` and `allowed` leave, sorted; one of them has to be there."""
        if self.only is None:
            return NO_ROWS if self.allowed is None else np.flatnonzero(self.allowed)
        return self.only if self.allowed is None else self.only[self.allowed[self.only]]

    def at_most(self) -> int:
        """Return how many rows these are, at most."""
        if self.only is not None:
            return len(self.only)
        return 0 if self.allowed is None else int(np.count_nonzero(self.allowed))


class RowQuery(NamedTuple):
    """A query in rows of one model's tables: each array sorted, no row twice."""

    liked: NDArray[np.intp]
    banned: NDArray[np.intp]
    limit: int
    """How many items to return; as many as there are, at most."""
    diversity: float = 0.0
    novelty: float = 0.0
    fill: bool = True
    weights: FloatArray | None = None
    """One for each row of `liked`, none 0; None if all are 1."""
    rules: Rules | None = None
    """None if the query has none."""
    source: Source = "model"


def in_rows(model: Model, queries: Sequence[Query]) -> list[RowQuery]:
    """Return the queries with rows in place of ids, without their pins."""
    liked = rows_of_each(model, [_weighted(query) for query in queries])
    # Most queries ban exactly what is liked: its rows are known already.
    others = [query.banned for query in queries if not _bans_what_is_liked(query)]
    banned = iter(rows_of_each(model, others))
    return [
        _row_query(model, query, rows, rows if _bans_what_is_liked(query) else next(banned))
        for query, rows in zip(queries, liked, strict=True)
    ]


def _weighted(query: Query) -> Collection[ItemId]:
    return query.liked if query.weights is None else [*query.liked, *query.weights]


def _bans_what_is_liked(query: Query) -> bool:
    return query.banned is query.liked and query.weights is None


def _row_query(
    model: Model, query: Query, liked: NDArray[np.intp], banned: NDArray[np.intp]
) -> RowQuery:
    weights = None
    if query.weights is not None:
        weights = np.array(
            [query.weights.get(model.item_ids[row], 1.0) for row in liked], np.float32
        )
        liked, weights = liked[weights != 0], weights[weights != 0]
    return RowQuery(
        liked,
        banned,
        query.count,
        query.diversity,
        query.novelty,
        query.fill,
        weights,
        _rules(model, query),
        query.source,
    )


def _rules(model: Model, query: Query) -> Rules | None:
    only = demoted = None
    if query.only is not None:
        (only,) = rows_of_each(model, [query.only])
    if query.demoted:
        (rows,) = rows_of_each(model, [query.demoted])
        demoted = rows, np.array([query.demoted[model.item_ids[row]] for row in rows], np.float32)
    rules = Rules(query.allowed, only, query.boost, demoted, query.max_per)
    return rules if any(rule is not None for rule in rules) else None


def rows_of_each(model: Model, asked: Sequence[Collection[ItemId]]) -> list[NDArray[np.intp]]:
    """Return the rows of the items that the model knows, for each collection: sorted, none twice.

    All are looked up and sorted together, each row numbered by its collection, which takes a tenth
    of the time of sorting each alone.
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


def ranked_by_model(query: RowQuery) -> bool:
    """Return whether the query has a like to rank by; otherwise it gets popular items."""
    if query.source != "model" or not len(query.liked):
        return False
    return query.weights is None or bool((query.weights > 0).any())


def sampled_likes(query: RowQuery, most: int) -> tuple[NDArray[np.intp], FloatArray | None]:
    """Return the rows that the query ranks by and their weights, None if all are 1."""
    if query.weights is None:
        return sampled(query.liked, most), None
    return sampled_with_weights(query.liked, query.weights, most)


def as_csr(liked: list[NDArray[np.intp]], n_items: int) -> CsrMatrix:
    """Return the liked rows as a matrix of ones, CSR [B, n]."""
    lengths = [len(rows) for rows in liked]
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    indices = joined(liked)
    ones = np.ones(len(indices), np.float32)
    return sparse.csr_array((ones, indices, indptr), shape=(len(liked), n_items))


def joined(rows: Iterable[NDArray[np.intp]]) -> NDArray[np.intp]:
    """Return the rows one after another."""
    return np.concatenate([NO_ROWS, *rows])
