"""What positive scores are multiplied by: boost, demotion and novelty, in one factor for each item."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from likewise.ranking import novelty

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from likewise.ranking.array_types import FloatArray
    from likewise.ranking.model import Model
    from likewise.ranking.queries import RowQuery, Rules


_ZERO = np.float32(0)


def factors_of(
    model: Model, query: RowQuery, items: NDArray[np.intp] | None = None
) -> FloatArray | None:
    """Return the factor of each of the items [k], sorted or not, or of all of them; None for 1.

    The array may be the query's own: do not modify it.
    """
    ruled = rule_factors(query.rules, items, len(model.item_ids)) if query.rules else None
    if not query.novelty:
        return ruled
    counts = model.item_counts if items is None else model.item_counts[items]
    novel = novelty.factors(counts, query.novelty)
    return novel if ruled is None else ruled * novel


def rule_factors(rules: Rules, items: NDArray[np.intp] | None, n_items: int) -> FloatArray | None:
    """Return the factor of each item under the rules alone, without novelty."""
    boost, demoted = rules.boost, rules.demoted
    if boost is not None and items is not None:
        boost = boost[items]
    if demoted is None:
        return boost
    length = n_items if items is None else len(items)
    factors = np.ones(length, np.float32) if boost is None else boost.astype(np.float32)
    rows, values = demoted
    if items is None:
        factors[rows] *= values
    elif len(rows):
        places = np.minimum(np.searchsorted(rows, items), len(rows) - 1)
        factors *= np.where(rows[places] == items, values[places], np.float32(1))
    return factors


def adjust(scores: FloatArray, factors: FloatArray, floor: float) -> None:
    """Multiply the scores above `floor` by their factors, in place; make the others -inf."""
    outside = barred(scores > floor)
    if factors.min(initial=1) <= 0:
        np.maximum(scores, _ZERO, out=scores)  # -inf * 0 is no number
    scores *= factors
    scores += outside


def barred(allowed: NDArray[np.bool_]) -> FloatArray:
    """Return what is added to scores so that those not allowed are -inf: 0 or -inf for each.

    Arithmetic takes a tenth of the time of an assignment by a mask, which a CPU can't predict.
    """
    with np.errstate(divide="ignore"):
        barred: FloatArray = 1 - np.reciprocal(allowed.astype(np.float32))
    return barred
