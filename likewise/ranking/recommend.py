"""From a batch of queries to ranked items: fold in, score, leave out, take the best, explain.

Pure: no I/O, no clock. The services rank through `recommend`, `likewise evaluate` through
`recommend_rows`, which is the same without ids.
"""

from __future__ import annotations

from itertools import chain, repeat
from math import ceil
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, TypeVar

import numpy as np

from likewise.ranking import blend, candidates, neighbours
from likewise.ranking.diversity import diversified, pool_size
from likewise.ranking.evidence import least_scores
from likewise.ranking.explaining import because
from likewise.ranking.novelty import factors
from likewise.ranking.queries import NO_ROWS, as_csr, in_rows, joined, rows_of_each
from likewise.ranking.sampling import sampled
from likewise.ranking.top import best_columns, best_columns_of_each

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from likewise.messages.ids import ItemId
    from likewise.ranking.array_types import CsrMatrix, FloatArray
    from likewise.ranking.model import Model
    from likewise.ranking.queries import Query, RowQuery

# Up to here scoring every item costs no more than the search for candidates: docs/ranking.md.
EXACT_ITEMS_LIMIT = 200_000
# So many share a product of matrices well: half as many take a tenth longer each, a quarter as many
# a third. More would take more memory, and leave threads idle.
_QUERIES_PER_BLOCK = 256
# To share out fewer takes more time in all than a second thread saves.
_QUERIES_WORTH_A_BLOCK = 64
# Bounds the memory of one block of dense scores to 64 MiB.
_SCORES_PER_BLOCK = 16 * 1024 * 1024
_Block = TypeVar("_Block")
_Found = TypeVar("_Found")
_NO_SCORES = np.zeros(0, np.float32)


class Each(Protocol):
    """`map`, or what does the same with several threads."""

    def __call__(
        self, function: Callable[[_Block], _Found], blocks: Iterable[_Block], /
    ) -> Iterable[_Found]:
        """Return what the function returns for each block, in their order."""


class Threads(NamedTuple):
    """What the blocks of a batch are shared out to, and how many are worked on at once."""

    each: Each = map
    at_once: int = 1


THIS_THREAD = Threads()


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
        return [*_best(model, [queries[number] for number in block], retired, exact=exact)]

    widest = min(len(model.item_ids), exact_items_limit)
    blocks = [*_blocks(known, widest, threads.at_once)]
    # A lone block has nobody to share with, and is not kept waiting for a thread.
    found_in_each = threads.each(best, blocks) if len(blocks) > 1 else map(best, blocks)
    for block, found in zip(blocks, found_in_each, strict=True):
        for number, (rows, scores) in zip(block, found, strict=True):
            answers[number] = RankedRows(rows, scores, len(rows))
    return [
        _fill_up(model, query, answer, retired)
        for query, answer in zip(queries, answers, strict=True)
    ]


def score_all(model: Model, likes: CsrMatrix) -> FloatArray:
    """Return the score of every item for every query under the model's ranker, [B, n]."""
    if model.recipe.ranker == "neighbours":
        return neighbours.scores(model, likes)
    return blend.scores(model, likes)


def _best(
    model: Model, queries: list[RowQuery], retired: NDArray[np.intp], *, exact: bool
) -> Iterator[tuple[NDArray[np.intp], FloatArray]]:
    """Yield, for each query, the rows of its items and their scores, in the order to show.

    Only items that the model has evidence for: `likewise.ranking.evidence`.
    """
    most = model.recipe.max_likes_per_user
    likes = as_csr([sampled(query.liked, most) for query in queries], len(model.item_ids))
    least = least_scores(model, likes)
    found = (_scanned if exact else _searched)(model, likes, queries, retired, least)
    for query, (rows, scores), floor in zip(queries, found, least, strict=True):
        # Novelty has weighted those that are evidence, and nothing else is among them.
        evident = scores > (0 if query.novelty else floor)
        if not evident.all():
            rows, scores = rows[evident], scores[evident]
        if query.diversity:
            order = diversified(model, rows, scores, count=query.limit, diversity=query.diversity)
            rows, scores = rows[order], scores[order]
        yield rows, scores


def _scanned(
    model: Model,
    likes: CsrMatrix,
    queries: list[RowQuery],
    retired: NDArray[np.intp],
    least: FloatArray,
) -> Iterator[tuple[NDArray[np.intp], FloatArray]]:
    """Yield the best of all items, best first: as many as the query needs to choose from."""
    scores = score_all(model, likes)
    scores[:, retired] = -np.inf
    lengths = [len(query.banned) for query in queries]
    scores[np.repeat(np.arange(len(queries)), lengths), joined(q.banned for q in queries)] = -np.inf
    for row, query in enumerate(queries):
        if query.novelty:
            scores[row, scores[row] <= least[row]] = -np.inf
            scores[row] *= factors(model.item_counts, query.novelty)
    needed = np.array([_needed(query) for query in queries])
    best: list[tuple[NDArray[np.intp], FloatArray]] = [(NO_ROWS, _NO_SCORES)] * len(queries)
    for count in np.unique(needed).tolist():
        rows = np.flatnonzero(needed == count)
        some = scores if len(rows) == len(queries) else scores[rows]
        for row, columns, found in zip(
            rows.tolist(), *best_columns_of_each(some, count), strict=True
        ):
            best[row] = columns, found
    yield from best


def _searched(
    model: Model,
    likes: CsrMatrix,
    queries: list[RowQuery],
    retired: NDArray[np.intp],
    least: FloatArray,
) -> Iterator[tuple[NDArray[np.intp], FloatArray]]:
    """Yield the best of the candidates of a large catalogue; novelty chooses among a pool."""
    banned = [query.banned for query in queries]
    needed = [pool_size(query.limit) if query.novelty else _needed(query) for query in queries]
    found = candidates.best(model, likes, banned, retired, needed)
    for query, (rows, scores), floor in zip(queries, found, least, strict=True):
        if not query.novelty:
            yield rows, scores
            continue
        rows, scores = rows[scores > floor], scores[scores > floor]
        weighted = scores * factors(model.item_counts[rows], query.novelty)
        places = best_columns(weighted, _needed(query))
        yield rows[places], weighted[places]


def _needed(query: RowQuery) -> int:
    return pool_size(query.limit) if query.diversity else query.limit


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
    wanted = missing if len(query.liked) else _needed(query)
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


def _blocks(known: list[int], widest: int, threads: int) -> Iterator[list[int]]:
    """Yield the queries in blocks of one size, as many for each thread as for the others.

    `widest` is how many scores a query may have at a time.
    """
    most = min(max(_SCORES_PER_BLOCK // max(widest, 1), 1), _QUERIES_PER_BLOCK)
    least = min(most, _QUERIES_WORTH_A_BLOCK)
    rounds = ceil(len(known) / (most * threads))
    count = min(rounds * threads, ceil(len(known) / least))
    for number in range(count):
        yield known[len(known) * number // count : len(known) * (number + 1) // count]
