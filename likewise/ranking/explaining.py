"""Which likes speak for the items of an answer: all of its items at once, in blocks of bounded memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from likewise.ranking import blend, neighbours
from likewise.ranking.novelty import factors
from likewise.ranking.top import best_columns_of_each

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from likewise.messages.ids import ItemId
    from likewise.ranking.model import Model

    Because = tuple[tuple[ItemId, float], ...]

# Of the strongest contribution: what is below is not worth naming.
_NEGLIGIBLE = 1e-3
# Contributions that are held at a time: 8 MiB of them.
_SHARES_PER_BLOCK = 2 * 1024 * 1024


def because(
    model: Model,
    liked: NDArray[np.intp],
    items: NDArray[np.intp],
    *,
    limit: int,
    novelty: float = 0.0,
) -> Iterator[Because]:
    """Yield the likes that speak for each item, strongest first, without rounding errors.

    `liked` [L] and `items` [k] are rows. Up to `limit` likes each.
    """
    ranker = neighbours if model.recipe.ranker == "neighbours" else blend
    step = max(_SHARES_PER_BLOCK // max(len(liked), 1), 1)
    for start in range(0, len(items), step):
        some = items[start : start + step]
        shares = ranker.contributions(model, liked, some)
        if novelty:
            shares *= factors(model.item_counts[some], novelty)[:, None]
        least = _NEGLIGIBLE * np.maximum(shares.max(axis=1), -shares.min(axis=1))
        places, found = best_columns_of_each(shares, limit)
        speaking = (found > least[:, None]).sum(axis=1).tolist()
        for rows, strongest, many in zip(
            liked[places].tolist(), found.tolist(), speaking, strict=True
        ):
            yield tuple(
                (model.item_ids[row], share)
                for row, share in zip(rows[:many], strongest[:many], strict=True)
            )
