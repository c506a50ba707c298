"""What a filter means: evaluated over all items at once, each comparison on one column."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from likewise.catalogue.parts import ORDER
from likewise.messages.where import And, Compare, Not, Or, Where

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from likewise.catalogue.slots import Mask
    from likewise.messages.ids import ItemId

ITEM_ID = "item_id"
TITLE = "title"
CATEGORIES = "categories"
PUBLISHED_AT = "published_at"
_FIELDS = {TITLE, CATEGORIES, PUBLISHED_AT}
_LABELS = "labels."


def column_name(field: str) -> str:
    """Return the name of the column that a field of a filter is about.

    A label is known by its name, or as `labels.` and its name, which `label_column` gives.
    """
    return field if field in _FIELDS or field.startswith(_LABELS) else label_column(field)


def label_column(label: str) -> str:
    """Return the name of a label's column."""
    return _LABELS + label


def comparisons(where: Where) -> Iterator[Compare]:
    """Yield the comparisons of a filter."""
    match where:
        case Compare():
            yield where
        case And(parts) | Or(parts):
            for part in parts:
                yield from comparisons(part)
        case Not(part):
            yield from comparisons(part)


def evaluate(where: Where, size: int, compare: Callable[[Compare], Mask]) -> Mask:
    """Return which of `size` items pass, where `compare` returns for which a comparison holds."""
    match where:
        case Compare():
            return compare(where)
        case And(parts):
            masks = (evaluate(part, size, compare) for part in parts)
            return reduce(np.logical_and, masks, np.ones(size, np.bool_))
        case Or(parts):
            masks = (evaluate(part, size, compare) for part in parts)
            return reduce(np.logical_or, masks, np.zeros(size, np.bool_))
        case Not(part):
            return ~evaluate(part, size, compare)


def id_matches(op: str, value: Any, ids: Sequence[ItemId | None]) -> Mask:
    """Return for which items the comparison with their ids holds. None is the id of no item."""
    operands = value if isinstance(value, tuple) else (value,)
    wanted = {one for one in operands if isinstance(one, str)}
    if op == "$exists":
        holds = (one is not None for one in ids) if value else (one is None for one in ids)
    elif op in ORDER:
        compare = ORDER[op]
        holds = (one is not None and any(compare(one, each) for each in wanted) for one in ids)
    elif op in {"$eq", "$in"}:
        holds = (one in wanted for one in ids)
    else:
        holds = (one is not None and one not in wanted for one in ids)
    return np.fromiter(holds, np.bool_, len(ids))
