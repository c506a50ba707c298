"""A few questions to a model that was just read: what fails here would have failed in an answer."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from likewise.errors import ModelFileError
from likewise.ranking.item_index import EXACT_ITEMS_LIMIT
from likewise.ranking.queries import Query
from likewise.ranking.recommend import recommend

if TYPE_CHECKING:
    from likewise.ranking.model import Model

_USERS = 4
_LIKES = 50
_ITEMS = 5
_COUNT = 10


def try_out(model: Model) -> None:
    """Return if the model answers for a few sets of likes and for a stranger, by scan and by search.

    Raises:
        ModelFileError: it fails, or gives scores that are no numbers.
    """
    queries = _questions(model)
    try:
        answers = [
            answer
            for limit in (EXACT_ITEMS_LIMIT, 0)
            for answer in recommend(model, queries, exact_items_limit=limit)
        ]
    except Exception as error:  # whatever it is, an answer would meet it too
        raise ModelFileError(f"ranking with it fails: {error!r}") from error
    if not all(isfinite(one.score) for answer in answers for one in answer.items):
        raise ModelFileError("it gives scores that are no numbers")


def _questions(model: Model) -> list[Query]:
    """Return a question of a stranger, and for likes from all over the catalogue one with each option."""
    queries = [Query((), (), _COUNT)]
    for rows in _likes(model):
        liked = [model.item_ids[row] for row in rows]
        queries.append(Query(liked, liked, _COUNT, explain=3))
        queries.append(Query(liked, liked, _COUNT, diversity=0.5, novelty=0.5))
    return queries


def _likes(model: Model) -> list[list[int]]:
    """Return the items of a few of its users, or if it holds none, an item each with the items next to it."""
    likes = model.user_items
    having = np.flatnonzero(np.diff(likes.indptr))
    if len(having):
        users = having[np.linspace(0, len(having) - 1, _USERS).astype(int)]
        bounds = [likes.indptr[user : user + 2] for user in users]
        return [likes.indices[start:end][:_LIKES].tolist() for start, end in bounds]
    n_items = len(model.item_ids)
    if not n_items:
        return []
    starts = np.linspace(0, n_items - 1, _USERS).astype(int).tolist()
    return [list(range(start, min(start + _ITEMS, n_items))) for start in starts]
