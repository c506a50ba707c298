"""The scan: every item is scored, or every item of a few that a rule leaves, and the best are taken."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from likewise.ranking import blend, neighbours
from likewise.ranking.by_length import best_by_length
from likewise.ranking.factors import adjust, barred, factors_of, rule_factors
from likewise.ranking.found import NO_SCORES, Found
from likewise.ranking.queries import NO_ROWS, joined
from likewise.ranking.top import best_columns, best_columns_of_each

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from likewise.ranking.array_types import CsrMatrix, FloatArray
    from likewise.ranking.found import Rest
    from likewise.ranking.model import Model
    from likewise.ranking.queries import RowQuery, Rules


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
    found: dict[int, Found] = {}
    by_count: defaultdict[int | None, list[int]] = defaultdict(list)
    for number, query in enumerate(queries):
        pruned = items is None and _is_plain(model, query, needed[number])
        by_count[needed[number] if pruned else None].append(number)
    for count, numbers in by_count.items():
        alike = len(numbers) == len(queries)
        some = [queries[number] for number in numbers]
        asked = (likes, some, least) if alike else (likes[numbers], some, least[numbers])
        best = (
            _all_scored(model, *asked, retired, [needed[number] for number in numbers], items)
            if count is None
            else _first_by_length(model, *asked, retired, count)
        )
        found.update(zip(numbers, best, strict=True))
    return [found[number] for number in range(len(queries))]


def _is_plain(model: Model, query: RowQuery, needed: int) -> bool:
    """Return whether the order of the list is that of the scores, which need not all be known."""
    rules, order = query.rules, model.by_length
    if query.novelty or order is None or not order.saves(needed):
        return False
    return rules is None or all(rule is None for rule in (rules.only, rules.boost, rules.demoted))


def _first_by_length(
    model: Model,
    likes: CsrMatrix,
    queries: Sequence[RowQuery],
    least: FloatArray,
    retired: NDArray[np.intp],
    count: int,
) -> list[Found]:
    """Return the same, from the scores of a part of the items."""
    found = best_by_length(model, likes, queries, least, retired, count)
    for number, query in enumerate(queries):
        if query.rules is not None and query.rules.max_per is not None:
            more = partial(_more_of_all, model, likes, query, least, retired, number)
            found[number] = found[number]._replace(more=more)
    return found


def _more_of_all(
    model: Model,
    likes: CsrMatrix,
    query: RowQuery,
    least: FloatArray,
    retired: NDArray[np.intp],
    number: int,
    count: int,
    without: NDArray[np.bool_],
) -> Found:
    """Return more for the query of this number, which hardly any query needs."""
    row = [number]
    (found,) = _all_scored(model, likes[row], [query], least[row], retired, [count], None)
    return found.more(count, without)


def _all_scored(
    model: Model,
    likes: CsrMatrix,
    queries: Sequence[RowQuery],
    least: FloatArray,
    retired: NDArray[np.intp],
    needed: Sequence[int],
    items: NDArray[np.intp] | None,
) -> list[Found]:
    """Return the same, from the scores of all items."""
    scores = score_all(model, likes) if items is None else score_some(model, likes, items)
    _leave_out(scores, queries, retired, items)
    floors = least.tolist()
    rests = [
        _rest(model, row, query, floor, items)
        for row, query, floor in zip(scores, queries, floors, strict=True)
    ]
    if items is None:
        _bar(scores, queries)
    for number, query in enumerate(queries):
        factors = factors_of(model, query, items)
        if factors is not None:
            adjust(scores[number], factors, floors[number])
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
) -> Rest | None:
    """Return what orders the rest of the query's `only`, from its scores as they are now."""
    rules = query.rules
    if rules is None or rules.only is None or not query.fill:
        return None
    if items is None:
        items = rules.shown()
        scores = scores[items]
    left = np.flatnonzero((scores <= floor) & (scores > -np.inf))
    return partial(_ordered_rest, model, rules, items[left], scores[left], floor)


def _ordered_rest(
    model: Model, rules: Rules, rows: NDArray[np.intp], scores: FloatArray, floor: float
) -> tuple[NDArray[np.intp], FloatArray]:
    scores = np.where(scores < -floor, scores, np.float32(0))
    popularity = model.popularity[rows]
    factors = rule_factors(rules, rows, len(model.item_ids))
    if factors is not None:
        popularity = popularity * factors
    order = np.lexsort((-model.item_counts[rows], -popularity, -scores))
    return rows[order], scores[order]


def _bar(scores: FloatArray, queries: Sequence[RowQuery]) -> None:
    """Set the scores of all items [B, n] that the rules of a query do not allow to -inf."""
    shared: dict[int, FloatArray] = {}
    for row, query in zip(scores, queries, strict=True):
        rules = query.rules
        if rules is None:
            continue
        if rules.only is not None:
            listed = np.zeros(len(row), np.bool_)
            listed[rules.shown()] = True
            row += barred(listed)
        elif rules.allowed is not None:
            identity = id(rules.allowed)
            if identity not in shared:
                shared[identity] = barred(rules.allowed)
            row += shared[identity]


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
    left = scores + barred(~(without if items is None else without[items]))
    columns = best_columns(left, count)
    return Found(*_evident(columns, left[columns], floor, items), count)
