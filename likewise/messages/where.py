"""Filters on catalogue fields: the `where` of a request, parsed once into an immutable tree.

The form is MongoDB's: `{"categories": {"$in": ["drama"]}, "price": {"$lte": 20}}`. docs/protocol.md has
the meaning of each operator.
"""

from __future__ import annotations

import math
from typing import Final, Literal, cast, get_args

import msgspec

from likewise.errors import InvalidInputError
from likewise.messages.ids import MAX_ID_BYTES
from likewise.messages.times import parse_time_ms, wire_time

MAX_DEPTH: Final = 10
MAX_NODES: Final = 200
MAX_IN_VALUES: Final = 1_000
MAX_VALUE_BYTES: Final = 1_024
PUBLISHED_AT: Final = "published_at"
"""The field that is compared as a time. In the tree, its values are ms since the epoch."""

Op = Literal["$eq", "$ne", "$in", "$nin", "$gt", "$gte", "$lt", "$lte", "$exists"]
Scalar = str | int | float | bool

_OPS = frozenset(get_args(Op))


class Compare(msgspec.Struct, frozen=True, eq=False):
    """Whether the field compares with the value in this way.

    `value` is a tuple for `$in` and `$nin`, and a bool for `$exists`. Equal if also the types of the
    values are: `true` is not 1.
    """

    field: str
    op: Op
    value: Scalar | tuple[Scalar, ...]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Compare) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[object, ...]:
        values = self.value if isinstance(self.value, tuple) else (self.value,)
        return self.field, self.op, values, tuple(isinstance(value, bool) for value in values)


class And(msgspec.Struct, frozen=True):
    """Whether all parts hold. Without parts, it holds for every item."""

    parts: tuple[Where, ...]


class Or(msgspec.Struct, frozen=True):
    """Whether any part holds."""

    parts: tuple[Where, ...]


class Not(msgspec.Struct, frozen=True):
    """Whether the part does not hold."""

    part: Where


Where = Compare | And | Or | Not


def parse_where(raw: object, path: str = "where") -> Where:
    """Return the filter in a decoded JSON object.

    Raises:
        InvalidInputError: it is not a filter, or is too deep or too large. The message names the place,
            starting with `path`.
    """
    return _Parser().filter(raw, path, 1)


def where_json(where: Where) -> dict[str, object]:
    """Return the JSON object of a filter, which `parse_where` parses to an equivalent filter."""
    match where:
        case Compare(field, op, value):
            values = value if isinstance(value, tuple) else (value,)
            if field == PUBLISHED_AT and op != "$exists":
                values = tuple(wire_time(cast("int", moment)) for moment in values)
            return {field: {op: list(values) if isinstance(value, tuple) else values[0]}}
        case And(()):
            return {}
        case And(parts):
            return {"$and": [where_json(part) for part in parts]}
        case Or(parts):
            return {"$or": [where_json(part) for part in parts]}
        case Not(part):
            return {"$not": where_json(part)}


def parse_field_name(raw: object, path: str, code: str) -> str:
    """Return the name of a catalogue field or label.

    Raises:
        InvalidInputError: with this code: it is not a string of 1 to 256 bytes, or begins with `$`.
    """
    if not isinstance(raw, str) or not raw or len(raw.encode()) > MAX_ID_BYTES:
        raise InvalidInputError(code, f"`{path}` is not a name of 1 to {MAX_ID_BYTES} bytes")
    if raw.startswith("$"):
        raise InvalidInputError(code, f"`{path}` {raw[:64]!r} is not the name of a field")
    return raw


class _Parser:
    """Parses one filter and counts its nodes."""

    def __init__(self) -> None:
        self._nodes = 0

    def filter(self, raw: object, path: str, depth: int) -> Where:
        if not isinstance(raw, dict):
            raise _invalid(path, "is not an object")
        if depth > MAX_DEPTH:
            raise _invalid(path, f"is nested more than {MAX_DEPTH} deep")
        self._count(path)
        parts = [
            part for key, value in raw.items() for part in self._entry(key, value, path, depth)
        ]
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _entry(self, key: str, value: object, path: str, depth: int) -> list[Where]:
        path = f"{path}.{key[:64]}"
        if key == "$and":
            return [And(self._filters(value, path, depth))]
        if key == "$or":
            return [Or(self._filters(value, path, depth))]
        if key == "$not":
            return [Not(self.filter(value, path, depth + 1))]
        if key.startswith("$"):
            raise _invalid(path, "is not an operator; at this place, use $and, $or or $not")
        return self._comparisons(parse_field_name(key, path, "invalid_where"), value, path, depth)

    def _filters(self, raw: object, path: str, depth: int) -> tuple[Where, ...]:
        if not isinstance(raw, list | tuple) or not raw:
            raise _invalid(path, "is not a list of filters")
        return tuple(self.filter(part, f"{path}[{at}]", depth + 1) for at, part in enumerate(raw))

    def _comparisons(self, field: str, raw: object, path: str, depth: int) -> list[Where]:
        if not isinstance(raw, dict):
            self._count(path)
            return [Compare(field, "$eq", _scalar(field, raw, path))]
        if depth > MAX_DEPTH:
            raise _invalid(path, f"is nested more than {MAX_DEPTH} deep")
        if not raw:
            raise _invalid(path, "has no operator")
        return [
            self._comparison(field, op, value, f"{path}.{op[:64]}", depth)
            for op, value in raw.items()
        ]

    def _comparison(self, field: str, op: str, raw: object, path: str, depth: int) -> Where:
        self._count(path)
        if op == "$not":
            if not isinstance(raw, dict):
                raise _invalid(path, "is not an object")
            parts = self._comparisons(field, raw, path, depth + 1)
            return Not(parts[0] if len(parts) == 1 else And(tuple(parts)))
        if op not in _OPS:
            raise _invalid(path, f"is not an operator; use one of {', '.join(sorted(_OPS))}, $not")
        return Compare(field, cast("Op", op), _operand(field, op, raw, path))

    def _count(self, path: str) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise _invalid(path, f"is part of a filter with more than {MAX_NODES} conditions")


def _operand(field: str, op: str, raw: object, path: str) -> Scalar | tuple[Scalar, ...]:
    if op in {"$in", "$nin"}:
        if not isinstance(raw, list | tuple):
            raise _invalid(path, "is not a list")
        if len(raw) > MAX_IN_VALUES:
            raise _invalid(path, f"has more than {MAX_IN_VALUES} values")
        return tuple(_scalar(field, value, f"{path}[{at}]") for at, value in enumerate(raw))
    if op == "$exists":
        if not isinstance(raw, bool):
            raise _invalid(path, "is not true or false")
        return raw
    if op not in {"$eq", "$ne"} and isinstance(raw, bool):
        raise _invalid(path, "is true or false, which have no order")
    return _scalar(field, raw, path)


def _scalar(field: str, raw: object, path: str) -> Scalar:
    if field == PUBLISHED_AT:
        return _time_ms(raw, path)
    match raw:
        case bool():
            return raw
        case int() | float() if is_finite(raw):
            return raw
        case str() if len(raw) <= MAX_VALUE_BYTES and len(raw.encode()) <= MAX_VALUE_BYTES:
            return raw
        case str():
            raise _invalid(path, f"is longer than {MAX_VALUE_BYTES} bytes")
        case list() | tuple():
            raise _invalid(path, "is a list; use $in")
    raise _invalid(path, "is not a string, a finite number, true or false")


def _time_ms(raw: object, path: str) -> int:
    try:
        time_ms = None if isinstance(raw, list | tuple | dict | bool) else parse_time_ms(raw)
    except InvalidInputError:
        time_ms = None
    if time_ms is None:
        raise _invalid(path, "is not a time")
    return time_ms


def is_finite(number: float) -> bool:
    """Whether the number is finite as a float."""
    try:
        return math.isfinite(number)
    except OverflowError:  # an integer beyond the largest float
        return False


def _invalid(path: str, problem: str) -> InvalidInputError:
    return InvalidInputError("invalid_where", f"`{path[:256]}` {problem}")
