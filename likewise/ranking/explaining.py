"""Explanations: which likes speak for the items of an answer, for all of its items at once.

Works in blocks of bounded memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from likewise.ranking import blend, neighbours
from likewise.ranking.factors import factors_of
from likewise.ranking.queries import sampled_likes
from likewise.ranking.top import best_columns_of_each

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from likewise.messages.ids import ItemId
    from likewise.ranking.array_types import FloatArray
    from likewise.ranking.model import Model
    from likewise.ranking.queries import RowQuery

    Because = tuple[tuple[ItemId, float], ...]

# A contribution below this share of the strongest one is not worth naming.
_NEGLIGIBLE = 1e-3
# Contributions held at a time: 8 MiB of them.
_SHARES_PER_BLOCK = 2 * 1024 * 1024


def because(
    model: Model, query: RowQuery, items: NDArray[np.intp], *, limit: int
) -> Iterator[Because]:
    """Yield the likes that speak for each item [k], strongest first, without rounding errors.

    Up to `limit` likes each. If the query has dislikes, what speaks against an item is named as
    well, with its negative contribution.
    """
    liked, weights = sampled_likes(query, model.recipe.max_likes_per_user)
    signed = weights is not None and bool((weights < 0).any())
    ranker = neighbours if model.recipe.ranker == "neighbours" else blend
    step = max(_SHARES_PER_BLOCK // max(len(liked), 1), 1)
    for start in range(0, len(items), step):
        some = items[start : start + step]
        shares = ranker.contributions(model, liked, weights, some)
        positive = shares.sum(axis=1) > 0 if signed else None
        factors = factors_of(model, query, some)
        if factors is not None:
            # As with scores: negative ones are not multiplied.
            shares *= (factors if positive is None else np.where(positive, factors, 1))[:, None]
        yield from strongest(model, liked, shares, limit, signed=signed)


def strongest(
    model: Model, liked: NDArray[np.intp], shares: FloatArray, limit: int, *, signed: bool
) -> Iterator[Because]:
    """Yield what speaks for each item, of the contributions [k, L] of its likes."""
    least = _NEGLIGIBLE * np.maximum(shares.max(axis=1), -shares.min(axis=1))
    places, found = best_columns_of_each(np.abs(shares) if signed else shares, limit)
    speaking = (found > least[:, None]).sum(axis=1).tolist()
    if signed:
        found = np.take_along_axis(shares, places, axis=1)
    for rows, strongest, many in zip(liked[places].tolist(), found.tolist(), speaking, strict=True):
        yield tuple(
            (model.item_ids[row], share)
            for row, share in zip(rows[:many], strongest[:many], strict=True)
        )
