"""The scan: every item is scored, or every item of a few that a rule leaves, and the best are taken."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from likewise.ranking import blend, neighbours
from likewise.ranking.factors import adjusted, factors_of, rule_factors
from likewise.ranking.found import NO_SCORES, Found
from likewise.ranking.queries import NO_ROWS, joined
from likewise.ranking.top import best_columns, best_columns_of_each

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from likewise.ranking.array_types import CsrMatrix, FloatArray
    from likewise.ranking.model import Model
    from likewise.ranking.queries import RowQuery


def score_all(model: Model, likes: CsrMatrix) -> FloatArray:
    """Return the score of every item for every query under the model's ranker, [B, n]."""
    if model.recipe.ranker == "neighbours":
        return neighbours.scores(model, likes)
    return blend.scores(model, likes)


def score_some(model: Model, likes: CsrMatrix, items: NDArray[np.intp]) -> FloatArray:
    """Return the scores of some items [k], sorted, for every query, [B, k]."""
    if model.recipe.ranker == "neighbours":
        return neighbours.scores_of(model, likes, items)
    return blend.scores_of(model, likes, items)


def scanned(
    model: Model,
    likes: CsrMatrix,
    queries: Sequence[RowQuery],
    retired: NDArray[np.intp],
    least: FloatArray,
    needed: Sequence[int],
    items: NDArray[np.intp] | None = None,
) -> list[Found]:
    """Return for each query as many of its best items as it needs to choose from.

    `items` are the only ones that any of the queries may return, sorted; None for all. An item is
    evidence if its score is above the query's entry in `least` [B].
    """
    scores = score_all(model, likes) if items is None else score_some(model, likes, items)
    _leave_out(scores, queries, retired, items)
    floors = least.tolist()
    rests = []
    for number, query in enumerate(queries):
        rests.append(_rest(model, scores[number], query, floors[number], items))
        if _adjust(model, scores[number], query, floors[number], items):
            floors[number] = -np.inf
    found = []
    for number, (columns, values) in enumerate(_best_of_each(scores, needed)):
        rows, values = _evident(columns, values, floors[number], items)
        rules = queries[number].rules
        limited = rules is not None and rules.max_per is not None
        one = Found(rows, values, needed[number], rest=rests[number])
        if limited:
            one = one._replace(more=partial(_more, scores[number], floors[number], items))
        found.append(one)
    return found


def _leave_out(
    scores: FloatArray,
    queries: Sequence[RowQuery],
    retired: NDArray[np.intp],
    items: NDArray[np.intp] | None,
) -> None:
    """Set the scores of what is retired, and of what each query bans, to -inf."""
    numbers = np.repeat(np.arange(len(queries)), [len(query.banned) for query in queries])
    banned = joined(query.banned for query in queries)
    if items is None:
        scores[:, retired] = -np.inf
        scores[numbers, banned] = -np.inf
    elif len(items):
        scores[:, np.isin(items, retired)] = -np.inf
        columns = np.minimum(np.searchsorted(items, banned), len(items) - 1)
        there = items[columns] == banned
        scores[numbers[there], columns[there]] = -np.inf


def _rest(
    model: Model,
    scores: FloatArray,
    query: RowQuery,
    floor: float,
    items: NDArray[np.intp] | None,
) -> tuple[NDArray[np.intp], FloatArray] | None:
    """Return what follows the evidence of a list that the query names: `Found.rest`.

    First items that the model has no evidence for, the most popular ones first; then those that it
    has evidence against.
    """
    rules = query.rules
    if rules is None or rules.only is None or items is None or not query.fill:
        return None
    left = np.flatnonzero((scores <= floor) & (scores > -np.inf))
    rows, values = items[left], scores[left]
    values = np.where(values < -floor, values, np.float32(0))
    popularity = model.popularity[rows]
    factors = rule_factors(rules, rows, len(model.item_ids))
    if factors is not None:
        popularity = popularity * factors
    order = np.lexsort((-model.item_counts[rows], -popularity, -values))
    return rows[order], values[order]


def _adjust(
    model: Model,
    scores: FloatArray,
    query: RowQuery,
    floor: float,
    items: NDArray[np.intp] | None,
) -> bool:
    """Apply the query's factors and mask to its scores; return whether only evidence is finite now."""
    if query.rules is None and not query.novelty:
        return False
    factors = factors_of(model, query, items)
    if factors is not None:
        scores[:] = adjusted(scores, factors, floor)
    if items is None and query.rules is not None and query.rules.allowed is not None:
        np.copyto(scores, -np.inf, where=~query.rules.allowed)
    return factors is not None


def _best_of_each(
    scores: FloatArray, needed: Sequence[int]
) -> list[tuple[NDArray[np.intp], FloatArray]]:
    """Return the columns and scores of so many best of each row, those of one count together."""
    counts = np.array(needed)
    best: list[tuple[NDArray[np.intp], FloatArray]] = [(NO_ROWS, NO_SCORES)] * len(counts)
    for count in np.unique(counts).tolist():
        rows = np.flatnonzero(counts == count)
        some = scores if len(rows) == len(counts) else scores[rows]
        for row, columns, found in zip(
            rows.tolist(), *best_columns_of_each(some, count), strict=True
        ):
            best[row] = columns, found
    return best


def _evident(
    columns: NDArray[np.intp], scores: FloatArray, floor: float, items: NDArray[np.intp] | None
) -> tuple[NDArray[np.intp], FloatArray]:
    """Return the rows and scores of the columns that are evidence."""
    evident = scores > floor
    if not evident.all():
        columns, scores = columns[evident], scores[evident]
    return (columns if items is None else items[columns]), scores


def _more(
    scores: FloatArray,
    floor: float,
    items: NDArray[np.intp] | None,
    count: int,
    without: NDArray[np.bool_],
) -> Found:
    left = np.where(without if items is None else without[items], np.float32(-np.inf), scores)
    columns = best_columns(left, count)
    return Found(*_evident(columns, left[columns], floor, items), count)
