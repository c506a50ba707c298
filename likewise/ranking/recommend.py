"""From a batch of queries to ranked items: fold in, score, leave out, take the best, explain.

Pure: no I/O, no clock. The services and `likewise evaluate` all rank through `recommend`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from scipy import sparse

from likewise.ids import ItemId, ItemRow
from likewise.ranking import blend, candidates, neighbours
from likewise.ranking.top import best_columns

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from numpy.typing import NDArray

    from likewise.ranking.model import FloatArray, Model

# Up to here scoring every item costs less than an approximate search; docs/benchmarks.md.
EXACT_ITEMS_LIMIT = 50_000
# Of the strongest contribution: what is below is not worth naming.
_NEGLIGIBLE = 1e-3
# Bounds the memory of one block of dense scores to 64 MiB.
_SCORES_PER_BLOCK = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Query:
    """What one request ranks by, and what it must not be given."""

    liked: Collection[ItemId]
    banned: Collection[ItemId]
    count: int
    explain: int = 0
    """How many of the likes to name for each item; 0 for none."""


class RankedItem(NamedTuple):
    """One item of an answer; `because` names likes and their contributions, strongest first."""

    item_id: ItemId
    score: float
    because: tuple[tuple[ItemId, float], ...]


class Ranked(NamedTuple):
    """An answer, best item first."""

    items: list[RankedItem]
    source: Literal["model", "popular"]


def recommend(
    model: Model,
    queries: Sequence[Query],
    retired: Collection[ItemId] = (),
    *,
    exact_items_limit: int = EXACT_ITEMS_LIMIT,
) -> list[Ranked]:
    """Return the best items for each query, in the order asked.

    Never returns a banned or a retired item. A query none of whose likes the model knows is
    answered with the most popular items; so is the rest of an answer for which the model has
    no evidence (their score is 0).
    """
    liked = [_rows(model, query.liked) for query in queries]
    retired_rows = _rows(model, retired)
    answers = [Ranked([], "popular") for _ in queries]
    known = [number for number, rows in enumerate(liked) if len(rows)]
    for block in _blocks(known, model, exact_items_limit):
        best = _best(
            model,
            [liked[n] for n in block],
            [queries[n] for n in block],
            retired_rows,
            exact=len(model.item_ids) <= exact_items_limit,
        )
        for number, (rows, scores) in zip(block, best, strict=True):
            items = _items(model, queries[number], liked[number], rows, scores)
            answers[number] = Ranked(items, "model")
    return [
        _fill_up(model, query, answer, retired_rows)
        for query, answer in zip(queries, answers, strict=True)
    ]


def score_all(model: Model, likes: Any) -> FloatArray:
    """Return the score of every item for every query under the model's ranker, [B, n]."""
    if model.recipe.ranker == "neighbours":
        return neighbours.scores(model, likes)
    return blend.scores(model, likes)


def _best(
    model: Model,
    liked: list[NDArray[np.intp]],
    queries: list[Query],
    retired_rows: NDArray[np.intp],
    *,
    exact: bool,
) -> Iterator[tuple[NDArray[np.intp], FloatArray]]:
    """Yield, for each query, the rows of its best items and their scores, best first."""
    likes = _as_csr(liked, len(model.item_ids))
    banned = [_rows(model, query.banned) for query in queries]
    if not exact and model.recipe.ranker != "neighbours":
        leave_out = [np.union1d(rows, retired_rows) for rows in banned]
        yield from candidates.best(model, likes, leave_out, [query.count for query in queries])
        return
    scores = score_all(model, likes)
    scores[:, retired_rows] = -np.inf
    for row, columns in enumerate(banned):
        scores[row, columns] = -np.inf
    for row, query in enumerate(queries):
        columns = best_columns(scores[row], query.count)
        yield columns, scores[row, columns]


def _items(
    model: Model,
    query: Query,
    liked: NDArray[np.intp],
    rows: NDArray[np.intp],
    scores: FloatArray,
) -> list[RankedItem]:
    """Return the items that the model has evidence for."""
    return [
        RankedItem(
            model.item_ids[row],
            float(score),
            _because(model, liked, ItemRow(int(row)), query.explain) if query.explain else (),
        )
        for row, score in zip(rows, scores, strict=True)
        if score != 0.0
    ]


def _because(
    model: Model, liked: NDArray[np.intp], item: ItemRow, limit: int
) -> tuple[tuple[ItemId, float], ...]:
    """Return the likes that speak for the item, strongest first, without rounding errors."""
    ranker = neighbours if model.recipe.ranker == "neighbours" else blend
    shares = ranker.contributions(model, liked, item)
    speaking = np.flatnonzero(shares > _NEGLIGIBLE * np.abs(shares).max())
    strongest = speaking[np.argsort(-shares[speaking], kind="stable")][:limit]
    return tuple((model.item_ids[liked[place]], float(shares[place])) for place in strongest)


def _fill_up(model: Model, query: Query, answer: Ranked, retired_rows: NDArray[np.intp]) -> Ranked:
    """Return the answer with popular items after its own, up to the count asked for."""
    missing = query.count - len(answer.items)
    if missing <= 0:
        return answer
    given = [item.item_id for item in answer.items]
    left_out = {*_rows(model, query.banned), *_rows(model, query.liked), *_rows(model, given)}
    left_out.update(retired_rows)
    wanted = (row for row in model.popular_rows if row not in left_out)
    # After ranked items a popularity would not compare with their scores.
    popular = [
        RankedItem(
            model.item_ids[row],
            float(model.item_counts[row]) if answer.source == "popular" else 0.0,
            (),
        )
        for row in islice(wanted, missing)
    ]
    return Ranked(answer.items + popular, answer.source)


def _rows(model: Model, item_ids: Collection[ItemId]) -> NDArray[np.intp]:
    """Return the rows of the items that the model knows, in order of row."""
    known = model.item_rows
    return np.array(sorted(known[item] for item in set(item_ids) if item in known), np.intp)


def _as_csr(liked: list[NDArray[np.intp]], n_items: int) -> Any:
    lengths = [len(rows) for rows in liked]
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    indices = np.concatenate(liked) if liked else np.zeros(0, np.intp)
    ones = np.ones(len(indices), np.float32)
    return sparse.csr_array((ones, indices, indptr), shape=(len(liked), n_items))


def _blocks(known: list[int], model: Model, exact_items_limit: int) -> Iterator[list[int]]:
    width = min(max(len(model.item_ids), 1), max(exact_items_limit, 1))
    size = max(_SCORES_PER_BLOCK // width, 1)
    for start in range(0, len(known), size):
        yield known[start : start + size]
