"""From a batch of queries to ranked items: fold in, score, leave out, take the best, explain.

Pure: no I/O, no clock. The services rank through `recommend`, `likewise evaluate` through
`recommend_rows`, which is the same without ids.
"""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from likewise.ranking.adding import found_for_each, merged
from likewise.ranking.best_items import best_of_each
from likewise.ranking.blocks import THIS_THREAD, blocks_of
from likewise.ranking.explaining import because
from likewise.ranking.filling import filled_up
from likewise.ranking.found import NO_SCORES, RankedRows
from likewise.ranking.item_index import EXACT_ITEMS_LIMIT
from likewise.ranking.pins import inserted, set_aside
from likewise.ranking.queries import NO_ROWS, in_rows, ranked_by_model, rows_of_each

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from numpy.typing import NDArray

    from likewise.messages.ids import ItemId
    from likewise.ranking.additions import Additions
    from likewise.ranking.blocks import Threads
    from likewise.ranking.explaining import Because
    from likewise.ranking.model import Model
    from likewise.ranking.queries import Query, RowQuery


class RankedItem(NamedTuple):
    """One item of an answer; `because` names likes and their contributions, strongest first.

    The score is the one after boost, demotion and novelty; diversity, `max_per` and pins change the
    order alone. A pinned item has score 0.
    """

    item_id: ItemId
    score: float
    because: Because


class Ranked(NamedTuple):
    """An answer, best item first."""

    items: list[RankedItem]
    source: Literal["model", "popular", "trending", "new"]
    """`recommend` returns the first two."""
    explored: frozenset[ItemId] = frozenset()
    """Items that nothing ranks, in places that exploration gave them."""


def recommend(
    model: Model,
    queries: Sequence[Query],
    retired: Collection[ItemId] = (),
    *,
    additions: Additions | None = None,
    exact_items_limit: int = EXACT_ITEMS_LIMIT,
    threads: Threads = THIS_THREAD,
) -> list[Ranked]:
    """Return the best items for each query, in the order asked.

    Never returns a banned or a retired item, and none but pinned ones that the rules of the query
    do not allow. The rules apply in this order: what may be shown; boost, demotion and novelty,
    which multiply positive scores; diversity; `max_per`; pins. A query none of whose likes the model
    knows gets the most popular items. Popular items with score 0 also follow those that the model
    has evidence for, unless the query says otherwise with `fill`. The queries are shared out to
    `threads` in blocks. `additions` are items that this model does not know.
    """
    if any(query.pins for query in queries):
        retired = frozenset(retired)
        queries = [set_aside(query, retired) if query.pins else query for query in queries]
    asked = in_rows(model, queries)
    (left_out,) = rows_of_each(model, [retired])
    answers = recommend_rows(
        model, asked, left_out, exact_items_limit=exact_items_limit, threads=threads
    )
    items = [_items(model, *one) for one in zip(queries, asked, answers, strict=True)]
    known = [answer.known for answer in answers]
    if additions is not None:
        found = found_for_each(model, additions, queries, asked, retired)
        for number, some in enumerate(found):
            if some:
                added = [
                    (RankedItem(additions.item_ids[one.place], one.score, one.because), one.place)
                    for one in some
                ]
                items[number] = merged(model, queries[number], items[number], added)
                known[number] += len(added)
    return [
        Ranked(_with_pins(query, ranked), "model" if evident else "popular")
        for query, ranked, evident in zip(queries, items, known, strict=True)
    ]


def recommend_rows(
    model: Model,
    queries: Sequence[RowQuery],
    retired: NDArray[np.intp] = NO_ROWS,
    *,
    exact_items_limit: int = EXACT_ITEMS_LIMIT,
    threads: Threads = THIS_THREAD,
) -> list[RankedRows]:
    """Return what `recommend` does, rows in and rows out, without pins; `retired` is sorted, too."""
    exact = model.item_index is None or len(model.item_ids) <= exact_items_limit
    answers = [RankedRows(NO_ROWS, NO_SCORES, 0)] * len(queries)
    known = [number for number, query in enumerate(queries) if ranked_by_model(query)]

    def best(block: list[int]) -> list[RankedRows]:
        return [*best_of_each(model, [queries[number] for number in block], retired, exact=exact)]

    widest = len(model.item_ids) if exact else min(len(model.item_ids), exact_items_limit)
    blocks = [*blocks_of(known, widest, threads.at_once)]
    # A single block has nothing to share, and does not wait for a thread.
    found_in_each = threads.each(best, blocks) if len(blocks) > 1 else map(best, blocks)
    for block, found in zip(blocks, found_in_each, strict=True):
        for number, answer in zip(block, found, strict=True):
            answers[number] = answer
    return [
        filled_up(model, query, answer, retired)
        for query, answer in zip(queries, answers, strict=True)
    ]


def _items(model: Model, query: Query, rows: RowQuery, answer: RankedRows) -> list[RankedItem]:
    """Return the answer with ids and explanations."""
    scores = answer.scores.tolist()
    return [
        RankedItem(model.item_ids[row], score, reason)
        for row, score, reason in zip(
            answer.rows.tolist(), scores, _reasons(model, rows, answer, query.explain), strict=False
        )
    ]


def _with_pins(query: Query, items: list[RankedItem]) -> list[RankedItem]:
    if not query.pins:
        return items
    return inserted(items, [(RankedItem(item, 0.0, ()), place) for item, place in query.pins])


def _reasons(model: Model, query: RowQuery, answer: RankedRows, explain: int) -> Iterable[Because]:
    """Return the explanation of each item; items without evidence for or against them have none."""
    if not explain or not answer.known:
        return repeat(())
    evident = np.flatnonzero(answer.scores)
    reasons: list[Because] = [()] * len(answer.rows)
    found = because(model, query, answer.rows[evident], limit=explain)
    for place, reason in zip(evident.tolist(), found, strict=True):
        reasons[place] = reason
    return reasons
