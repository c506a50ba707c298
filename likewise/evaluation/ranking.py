"""Ranking for many users, in batches, by the function that serving answers with."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from sklearn.neighbors import NearestNeighbors

from likewise.ranking.index import AnnoyVectors
from likewise.ranking.item_index import EXACT_ITEMS_LIMIT
from likewise.ranking.neighbours import user_vectors
from likewise.ranking.queries import NO_ROWS, RowQuery
from likewise.ranking.recommend import recommend_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from indexer.progress import Progress
    from likewise.ranking.array_types import FloatArray
    from likewise.ranking.model import Model

# What a busy server ranks at once: `serving.max_batch`.
_BATCH = 256
_APPROXIMATION_USERS = 500


class Lists(NamedTuple):
    """The lists that users would get."""

    top: NDArray[np.intp]
    """[lists, k] item rows, best first; -1 where a list is shorter."""
    ms_per_query: float
    """Of wall time, in batches."""


def rank(
    model: Model,
    queries: Sequence[RowQuery],
    *,
    k: int,
    progress: Progress,
    exact_items_limit: int = EXACT_ITEMS_LIMIT,
    blind: bool = False,
    diversity: float = 0.0,
    novelty: float = 0.0,
) -> Lists:
    """Return the best k items for each query.

    `blind` hides the likes from the ranker, but not what is banned: all users get popular items.
    `diversity` and `novelty` are request options.
    """
    top = np.full((len(queries), k), -1, np.intp)
    progress.expect(len(queries))
    started_s = time.perf_counter()
    for start in range(0, len(queries), _BATCH):
        batch = [
            query._replace(limit=k, diversity=diversity, novelty=novelty)
            for query in queries[start : start + _BATCH]
        ]
        if blind:
            batch = [query._replace(liked=NO_ROWS, weights=None) for query in batch]
        answers = recommend_rows(model, batch, exact_items_limit=exact_items_limit)
        for number, answer in enumerate(answers, start):
            top[number, : len(answer.rows)] = answer.rows
        progress.advance(len(batch))
    seconds = time.perf_counter() - started_s
    return Lists(top, 1000 * seconds / max(len(queries), 1))


class ExactVectors(AnnoyVectors):
    """An exact search with the interface of `AnnoyVectors`: the reference for approximate searches."""

    def __init__(self, vectors: FloatArray) -> None:
        """Search the rows of `vectors` by angle."""
        super().__init__(None, dimensions=vectors.shape[1], metric="angular")
        self._rows = len(vectors)
        self._search = NearestNeighbors(metric="cosine", algorithm="brute").fit(vectors)

    def nearest(
        self, vector: FloatArray, count: int, *, effort: int = -1
    ) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        """Return up to `count` rows, nearest first, and their cosines; `effort` is ignored."""
        return self.nearest_of_each(vector[None], count)[0]

    def nearest_of_each(
        self, vectors: FloatArray, count: int
    ) -> list[tuple[NDArray[np.intp], NDArray[np.float32]]]:
        """Return the same for each row of `vectors`, by one search for all of them."""
        distances, rows = self._search.kneighbors(vectors, min(count, self._rows))
        cosines = (1 - distances).astype(np.float32)
        return list(zip(rows, cosines, strict=True))


def with_exact_neighbours(model: Model) -> Model:
    """Return a `neighbours` model that finds the nearest users exactly."""
    users = user_vectors(model.user_items, model.query_weights, model.item_factors)
    return replace(model, user_index=ExactVectors(users))


@dataclass(frozen=True, slots=True)
class Approximation:
    """Recall and time of a model's approximate search compared with the exact scan."""

    users: int
    serves: str
    """`exact` or `approximate`: which one answers with this catalogue and the defaults."""
    recall: float
    """Mean share of the exact list that the approximate list contains."""
    exact_ms_per_query: float
    approximate_ms_per_query: float


def approximation(
    model: Model, queries: Sequence[RowQuery], *, k: int, seed: int, progress: Progress
) -> Approximation:
    """Compare both searches of the model on a sample of the users."""
    drawn = np.random.default_rng(seed).permutation(len(queries))[:_APPROXIMATION_USERS]
    asked = [queries[user] for user in drawn if len(queries[user].liked)]
    n_items = len(model.item_ids)
    if model.recipe.ranker == "neighbours":
        exact = rank(with_exact_neighbours(model), asked, k=k, progress=progress)
        searched = rank(model, asked, k=k, progress=progress)
        serves = "approximate"
    else:
        exact = rank(model, asked, k=k, progress=progress, exact_items_limit=n_items)
        searched = rank(model, asked, k=k, progress=progress, exact_items_limit=0)
        serves = "exact" if n_items <= EXACT_ITEMS_LIMIT else "approximate"
    shares = [
        len(np.intersect1d(one[one >= 0], other[other >= 0])) / max((one >= 0).sum(), 1)
        for one, other in zip(exact.top, searched.top, strict=True)
    ]
    return Approximation(
        users=len(asked),
        serves=serves,
        recall=float(np.mean(shares)) if shares else 1.0,
        exact_ms_per_query=exact.ms_per_query,
        approximate_ms_per_query=searched.ms_per_query,
    )
