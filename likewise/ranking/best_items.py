"""The best items for each query of a block, by a scan of all items or a search of a large catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from likewise.ranking import blend, candidates, neighbours
from likewise.ranking.diversity import diversified, pool_size
from likewise.ranking.evidence import least_scores
from likewise.ranking.novelty import factors
from likewise.ranking.queries import NO_ROWS, as_csr, joined
from likewise.ranking.sampling import sampled
from likewise.ranking.top import best_columns, best_columns_of_each

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from likewise.ranking.array_types import CsrMatrix, FloatArray
    from likewise.ranking.model import Model
    from likewise.ranking.queries import RowQuery

_NO_SCORES = np.zeros(0, np.float32)


def score_all(model: Model, likes: CsrMatrix) -> FloatArray:
    """Return the score of every item for every query under the model's ranker, [B, n]."""
    if model.recipe.ranker == "neighbours":
        return neighbours.scores(model, likes)
    return blend.scores(model, likes)


def best_of_each(
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
    needed = np.array([needed_by(query) for query in queries])
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
    needed = [pool_size(query.limit) if query.novelty else needed_by(query) for query in queries]
    found = candidates.best(model, likes, banned, retired, needed)
    for query, (rows, scores), floor in zip(queries, found, least, strict=True):
        if not query.novelty:
            yield rows, scores
            continue
        rows, scores = rows[scores > floor], scores[scores > floor]
        weighted = scores * factors(model.item_counts[rows], query.novelty)
        places = best_columns(weighted, needed_by(query))
        yield rows[places], weighted[places]


def needed_by(query: RowQuery) -> int:
    return pool_size(query.limit) if query.diversity else query.limit
