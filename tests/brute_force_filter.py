"""What a filter means, one item at a time, in plain Python: written from docs/protocol.md alone."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

from likewise.messages.where import And, Compare, Not, Or, Where

if TYPE_CHECKING:
    from likewise.messages.items import CatalogueItem

_ORDER = {
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}


def passes(where: Where, item_id: str, item: CatalogueItem | None) -> bool:
    """Return whether one item passes; None is an item that the catalogue does not have."""
    match where:
        case And(parts):
            return all(passes(part, item_id, item) for part in parts)
        case Or(parts):
            return any(passes(part, item_id, item) for part in parts)
        case Not(part):
            return not passes(part, item_id, item)
        case Compare(field, op, value):
            return _holds(_value(field, item_id, item), op, value)


def _value(field: str, item_id: str, item: CatalogueItem | None) -> Any:
    """Return the value of the field; None if the item lacks it."""
    if field == "item_id":
        return item_id
    if item is None:
        return None
    if field == "title":
        return item.title
    if field == "categories":
        return item.categories or None
    if field == "published_at":
        return item.published_at_ms
    value = item.labels.get(field.removeprefix("labels."))
    return None if value == () else value


def _holds(value: Any, op: str, operand: Any) -> bool:
    if op == "$exists":
        return (value is not None) is operand
    if value is None:
        return False
    if op in {"$ne", "$nin"}:
        return not _holds(value, "$eq" if op == "$ne" else "$in", operand)
    elements = value if isinstance(value, tuple) else (value,)
    operands = operand if isinstance(operand, tuple) else (operand,)
    compare = _ORDER.get(op, operator.eq)
    return any(
        bool(compare(element, one))
        for element in elements
        for one in operands
        if _kind(element) is _kind(one)
    )


def _kind(value: object) -> type:
    return float if type(value) is int else type(value)
