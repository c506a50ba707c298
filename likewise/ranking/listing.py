"""From the items that were found for a query to its list: diversity, then `max_per`, then the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from likewise.ranking.diversity import diversified, pool_size
from likewise.ranking.found import Found, RankedRows
from likewise.ranking.group_limit import GroupLimit
from likewise.ranking.queries import NO_ROWS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from likewise.ranking.array_types import FloatArray
    from likewise.ranking.model import Model
    from likewise.ranking.queries import RowQuery


def listed(model: Model, query: RowQuery, found: Found) -> RankedRows:
    """Return up to `query.limit` of the items found, in the order to show."""
    groups = None
    if query.rules is not None and query.rules.max_per is not None:
        groups = GroupLimit(*query.rules.max_per)
        rows, scores = limited(model, found, groups, query.limit, query.diversity)
    else:
        rows, scores = found.rows, found.scores
        if query.diversity:
            order = diversified(model, rows, scores, count=query.limit, diversity=query.diversity)
            rows, scores = rows[order], scores[order]
    missing = query.limit - len(rows)
    if found.rest is None or not missing:
        return RankedRows(rows, scores, len(rows))
    more, values = found.rest()
    places = np.arange(len(more))[:missing] if groups is None else groups.admit(more, missing)
    return RankedRows(
        np.concatenate([rows, more[places]]), np.concatenate([scores, values[places]]), len(rows)
    )


def limited(
    model: Model, found: Found, groups: GroupLimit, count: int, diversity: float
) -> tuple[NDArray[np.intp], FloatArray]:
    """Return up to `count` of the items found, as many of each group as it has room for.

    Diversity chooses among the best of all, as without groups; after them come the best of the
    others. Finds more where too many are of full groups.
    """
    rows, scores = found.rows, found.scores
    pool, order = 0, NO_ROWS
    if diversity:
        pool = pool_size(count)
        order = diversified(
            model, rows[:pool], scores[:pool], count=count, diversity=diversity, groups=groups
        )
    after = pool + groups.admit(rows[pool:], count - len(order))
    order = np.concatenate([order, after])
    rows, scores = rows[order], scores[order]
    asked, exhausted = found.asked, len(found.rows) < found.asked
    while len(rows) < count and not exhausted:
        asked *= 2
        without = groups.closed()
        without[rows] = True
        others = found.more(asked, without)
        places = groups.admit(others.rows, count - len(rows))
        rows = np.concatenate([rows, others.rows[places]])
        scores = np.concatenate([scores, others.scores[places]])
        exhausted = len(others.rows) < asked
    return rows, scores
