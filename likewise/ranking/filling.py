"""Popular items: the whole answer without likes, and what follows the items that the model ranks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np

from likewise.ranking.best_items import needed_by, weighted_likes
from likewise.ranking.diversity import diversified
from likewise.ranking.evidence import least_scores
from likewise.ranking.factors import rule_factors
from likewise.ranking.found import Found, RankedRows
from likewise.ranking.group_limit import GroupLimit
from likewise.ranking.listing import limited
from likewise.ranking.queries import NO_ROWS, ranked_by_model
from likewise.ranking.scan import score_some
from likewise.ranking.top import best_columns

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from likewise.ranking.array_types import FloatArray
    from likewise.ranking.model import Model
    from likewise.ranking.queries import RowQuery

# If fewer than one item in so many may be shown, sorting these takes less time than walking all.
_FEW = 50


def filled_up(
    model: Model, query: RowQuery, answer: RankedRows, retired: NDArray[np.intp]
) -> RankedRows:
    """Return the answer with popular items after its own, up to the count asked for."""
    missing = query.limit - len(answer.rows)
    if missing <= 0 or not (query.fill or query.source == "popular"):
        return answer
    ranked = ranked_by_model(query)
    order = _Popular.of(model, query, (query.banned, answer.rows, retired))
    found = order.best(missing if ranked else needed_by(query))
    rows, scores, diversity = found.rows, found.scores, 0 if ranked else query.diversity
    if query.rules is not None and query.rules.max_per is not None:
        groups = GroupLimit(*query.rules.max_per)
        groups.admit(answer.rows, len(answer.rows))
        rows, scores = limited(model, found, groups, missing, diversity)
    elif diversity:
        places = diversified(model, rows, scores, count=query.limit, diversity=diversity)
        rows, scores = rows[places], scores[places]
    if ranked:  # a popularity does not compare with the scores before it
        scores = np.zeros(len(rows), np.float32)
    return RankedRows(
        np.concatenate([answer.rows, rows]),
        np.concatenate([answer.scores, scores]).astype(np.float32, copy=False),
        answer.known,
    )


@dataclass(frozen=True, slots=True)
class _Popular:
    """The items that a query may still show, by popularity times their factors."""

    model: Model
    free: NDArray[np.bool_]
    """[n]"""
    factors: FloatArray | None = None
    """[n]"""

    @classmethod
    def of(cls, model: Model, query: RowQuery, left_out: Iterable[NDArray[np.intp]]) -> Self:
        """Return the order for a query.

        What the model has evidence against comes last, as far as it is among the most popular.
        """
        n_items = len(model.item_ids)
        order = cls(model, _free(query, left_out, n_items))
        if query.rules is not None:
            order = replace(order, factors=rule_factors(query.rules, None, n_items))
        if query.source == "model" and query.weights is not None and (query.weights < 0).any():
            opposed = _opposed(model, query, order.best(100 + 4 * query.limit).rows)
            factors = (
                np.ones(n_items, np.float32) if order.factors is None else order.factors.copy()
            )
            factors[opposed] = 0
            order = replace(order, factors=factors)
        return order

    def best(self, count: int, without: NDArray[np.bool_] | None = None) -> Found:
        """Return the first `count` items, except those of the mask [n]."""
        free = self.free if without is None else self.free & ~without
        rows = self._first(count, free)
        scores = self.model.popularity[rows]
        if self.factors is not None:
            scores = scores * self.factors[rows]
        return Found(rows, scores.astype(np.float32), count, self.best)

    def _first(self, count: int, free: NDArray[np.bool_]) -> NDArray[np.intp]:
        popular = self.model.popular_rows
        if self.factors is not None:
            rows = popular[free[popular]]
            values = self.model.popularity[rows] * self.factors[rows]
            best: NDArray[np.intp] = rows[best_columns(values, count)]
            return best
        if _FEW * np.count_nonzero(free) < len(free):
            rows = np.flatnonzero(free)
            keys = (-self.model.item_counts[rows], -self.model.popularity[rows])
            few: NDArray[np.intp] = rows[np.lexsort(keys)][:count]
            return few
        found, start = NO_ROWS, 0
        while len(found) < count and start < len(free):
            # Nearly always the first ones do; twice as many each time if most are left out.
            some = popular[start : 2 * start + 4 * count]
            found = np.concatenate([found, some[free[some]]])
            start += len(some)
        return found[:count]


def _free(query: RowQuery, left_out: Iterable[NDArray[np.intp]], n_items: int) -> NDArray[np.bool_]:
    """Return which items [n] the query may show."""
    rules = query.rules
    if rules is None or rules.allowed is None:
        free = np.ones(n_items, np.bool_)
    else:
        free = rules.allowed.copy()
    if rules is not None and rules.only is not None:
        listed = np.zeros(n_items, np.bool_)
        listed[rules.only] = free[rules.only]
        free = listed
    for rows in left_out:
        free[rows] = False
    return free


def _opposed(model: Model, query: RowQuery, rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return those of the rows that the model has evidence against."""
    likes = weighted_likes(model, [query])
    rows = np.sort(rows)
    against = score_some(model, likes, rows)[0] < -least_scores(model, likes)[0]
    opposed: NDArray[np.intp] = rows[against]
    return opposed
