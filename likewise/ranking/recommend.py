"""From a batch of queries to ranked items: fold in, score, leave out, take the best, explain.

Pure: no I/O, no clock. The services rank through `recommend`, `likewise evaluate` through
`recommend_rows`, which is the same without ids.
"""

from __future__ import annotations

from itertools import chain, repeat
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from likewise.ranking.best_items import best_of_each, needed_by
from likewise.ranking.blocks import THIS_THREAD, blocks_of
from likewise.ranking.diversity import diversified
from likewise.ranking.explaining import because
from likewise.ranking.queries import NO_ROWS, in_rows, rows_of_each
from likewise.ranking.sampling import sampled

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from numpy.typing import NDArray

    from likewise.messages.ids import ItemId
    from likewise.ranking.array_types import FloatArray
    from likewise.ranking.blocks import Threads
    from likewise.ranking.model import Model
    from likewise.ranking.queries import Query, RowQuery

# Up to here scoring every item costs no more than the search for candidates: docs/ranking.md.
EXACT_ITEMS_LIMIT = 200_000
_NO_SCORES = np.zeros(0, np.float32)


class RankedItem(NamedTuple):
    """One item of an answer; `because` names likes and their contributions, strongest first.

    The score is what novelty has made of it; diversity changes the order alone.
    """

    item_id: ItemId
    score: float
    because: tuple[tuple[ItemId, float], ...]


class Ranked(NamedTuple):
    """An answer, best item first."""

    items: list[RankedItem]
    source: Literal["model", "popular"]


class RankedRows(NamedTuple):
    """The rows of an answer and their scores, best first; with diversity, in the order to show.

    The first `known` ones the model has evidence for; after them come popular items.
    """

    rows: NDArray[np.intp]
    scores: FloatArray
    known: int


def recommend(
    model: Model,
    queries: Sequence[Query],
    retired: Collection[ItemId] = (),
    *,
    exact_items_limit: int = EXACT_ITEMS_LIMIT,
    threads: Threads = THIS_THREAD,
) -> list[Ranked]:
    """Return the best items for each query, in the order asked.

    Never returns a banned or a retired item. A query none of whose likes the model knows is
    answered with the most popular items; so is what the model has no evidence for, the rest of
    an answer or all of it (their score is 0), unless the query is not to be filled up. The
    queries are shared out to `threads` in blocks.
    """
    asked = in_rows(model, queries)
    (left_out,) = rows_of_each(model, [retired])
    answers = recommend_rows(
        model, asked, left_out, exact_items_limit=exact_items_limit, threads=threads
    )
    return [
        Ranked(_items(model, rows, answer, query.explain), "model" if answer.known else "popular")
        for query, rows, answer in zip(queries, asked, answers, strict=True)
    ]


def recommend_rows(
    model: Model,
    queries: Sequence[RowQuery],
    retired: NDArray[np.intp] = NO_ROWS,
    *,
    exact_items_limit: int = EXACT_ITEMS_LIMIT,
    threads: Threads = THIS_THREAD,
) -> list[RankedRows]:
    """Return what `recommend` does, rows in and rows out; `retired` is sorted, too."""
    exact = len(model.item_ids) <= exact_items_limit
    answers = [RankedRows(NO_ROWS, _NO_SCORES, 0)] * len(queries)
    known = [number for number, query in enumerate(queries) if len(query.liked)]

    def best(block: list[int]) -> list[tuple[NDArray[np.intp], FloatArray]]:
        return [*best_of_each(model, [queries[number] for number in block], retired, exact=exact)]

    widest = min(len(model.item_ids), exact_items_limit)
    blocks = [*blocks_of(known, widest, threads.at_once)]
    # A lone block has nobody to share with, and is not kept waiting for a thread.
    found_in_each = threads.each(best, blocks) if len(blocks) > 1 else map(best, blocks)
    for block, found in zip(blocks, found_in_each, strict=True):
        for number, (rows, scores) in zip(block, found, strict=True):
            answers[number] = RankedRows(rows, scores, len(rows))
    return [
        _fill_up(model, query, answer, retired)
        for query, answer in zip(queries, answers, strict=True)
    ]


def _items(model: Model, query: RowQuery, answer: RankedRows, explain: int) -> list[RankedItem]:
    """Return the answer with ids; what the model has no evidence for is not explained."""
    explained = answer.known if explain else 0
    reasons = because(
        model,
        sampled(query.liked, model.recipe.max_likes_per_user),
        answer.rows[:explained],
        limit=explain,
        novelty=query.novelty,
    )
    return [
        RankedItem(model.item_ids[row], score, reason)
        for row, score, reason in zip(
            answer.rows.tolist(), answer.scores.tolist(), chain(reasons, repeat(())), strict=False
        )
    ]


def _fill_up(
    model: Model, query: RowQuery, answer: RankedRows, retired: NDArray[np.intp]
) -> RankedRows:
    """Return the answer with popular items after its own, up to the count asked for."""
    missing = query.limit - len(answer.rows)
    if missing <= 0 or not query.fill:
        return answer
    wanted = missing if len(query.liked) else needed_by(query)
    popular = _most_popular(model, wanted, (query.banned, answer.rows, retired))
    if len(query.liked):
        # After ranked items a popularity would not compare with their scores.
        scores = np.zeros(len(popular), np.float32)
    else:
        scores = model.popularity[popular].astype(np.float32)
        if query.diversity:
            order = diversified(
                model, popular, scores, count=query.limit, diversity=query.diversity
            )
            popular, scores = popular[order], scores[order]
    return RankedRows(
        np.concatenate([answer.rows, popular]),
        np.concatenate([answer.scores, scores]).astype(np.float32, copy=False),
        answer.known,
    )


def _most_popular(
    model: Model, count: int, left_out: Iterable[NDArray[np.intp]]
) -> NDArray[np.intp]:
    """Return up to `count` rows, most popular first, without those left out."""
    free = np.ones(len(model.item_ids), np.bool_)
    for rows in left_out:
        free[rows] = False
    found, start = NO_ROWS, 0
    while len(found) < count and start < len(free):
        # Nearly always the first ones do; as many again, and again, where most are left out.
        some = model.popular_rows[start : 2 * start + 4 * count]
        found = np.concatenate([found, some[free[some]]])
        start += len(some)
    return found[:count]
