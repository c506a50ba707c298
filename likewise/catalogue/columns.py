"""A column: the values of one field, of whatever types, by the rows of the items."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import compress, count
from typing import TYPE_CHECKING, Any

import numpy as np

from likewise.catalogue.parts import EQUAL, Flags, Lists, Numbers, Words
from likewise.catalogue.texts import Texts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from likewise.catalogue.parts import Part
    from likewise.catalogue.slots import Mask, Rows

_PART_OF: Mapping[type, type[Part]] = {
    float: Numbers,
    int: Numbers,
    bool: Flags,
    str: Words,
    tuple: Lists,
    list: Lists,
}
_NEGATED = {"$ne": "$eq", "$nin": "$in"}
_FEW_STRINGS = 1_024
"""A table of so many distinct strings is small, however few items have them."""


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """The values of one field by row; immutable. An empty list counts as no value."""

    parts: Mapping[type[Part], Part] = field(default_factory=dict)
    serial: int = field(default_factory=count(1).__next__)
    """Different for each column there ever was."""

    def replaced(self, cleared: Rows, rows: Rows, values: Sequence[Any]) -> Column:
        """Return a column in which `rows` have these values, and the other `cleared` rows have none.

        Both ascend. Returns `self` if nothing changes.
        """
        given = self._by_part(rows, values)
        parts = dict(self.parts)
        for kind in dict.fromkeys([*parts, *given]):
            own_rows, own_values = given.get(kind, (rows[:0], ()))
            touched = np.union1d(cleared, own_rows) if len(cleared) else own_rows
            if len(touched):
                parts[kind] = parts.get(kind, kind()).replaced(touched, own_rows, own_values)
        if all(part is self.parts.get(kind) for kind, part in parts.items()):
            return self
        if len(cleared):
            parts = {kind: part for kind, part in parts.items() if part.slots.present.any()}
        return Column(_with_texts_apart(parts))

    def exists(self, size: int) -> Mask:
        """Return which of the rows below `size` have a value: all that do are."""
        found = np.zeros(size, np.bool_)
        for part in self.parts.values():
            found |= part.slots.spread(part.slots.present, np.zeros(size, np.bool_))
        return found

    def matches(self, op: str, value: Any, size: int) -> Mask:
        """Return for which rows below `size` the comparison holds.

        Values compare with values of their type. A row without a value matches `$exists: false`
        alone. `$ne` and `$nin` hold for a list if no element is equal.
        """
        if op == "$exists":
            return self.exists(size) if value else ~self.exists(size)
        if op in _NEGATED:
            return self.exists(size) & ~self.matches(_NEGATED[op], value, size)
        operands = value if isinstance(value, tuple) else (value,)
        op = EQUAL if op == "$eq" else op
        found = np.zeros(size, np.bool_)
        for kind, part in self.parts.items():
            if own := [one for one in operands if _compares(kind, one)]:
                found |= part.slots.spread(part.matches(op, own), np.zeros(size, np.bool_))
        return found

    def groups(self, size: int) -> Rows:
        """Return numbers from 0 that are equal for rows below `size` with equal values, else -1.

        A list counts as its first element.
        """
        groups = np.full(size, -1, np.int64)
        next_group = 0
        for part in self.parts.values():
            codes = part.groups()
            shifted = np.where(codes < 0, -1, codes + next_group)
            own = part.slots.spread(shifted, np.full(size, -1, np.int64))
            groups = np.maximum(groups, own)  # a row has a value in one part
            next_group += int(codes.max(initial=-1)) + 1
        return groups.astype(np.int32)

    def _by_part(
        self, rows: Rows, values: Sequence[Any]
    ) -> dict[type[Part], tuple[Rows, Sequence[Any]]]:
        """Return the rows and values of each part."""
        part_of = dict(_PART_OF) | ({str: Texts} if Texts in self.parts else {})
        types = [*map(type, values)]
        kinds = {part_of[one] for one in set(types)}
        if kinds <= {Numbers, Words, Texts, Flags} and len(kinds) == 1:
            return {kinds.pop(): (rows, values)}
        found: dict[type[Part], tuple[Rows, Sequence[Any]]] = {}
        for kind in kinds:
            chosen = [
                part_of[one] is kind and value != ()
                for one, value in zip(types, values, strict=True)
            ]
            found[kind] = rows[np.array(chosen, np.bool_)], [*compress(values, chosen)]
        return found


def _compares(kind: type[Part], operand: Any) -> bool:
    if isinstance(operand, bool):
        return kind is Flags
    if isinstance(operand, str):
        return kind in {Words, Texts, Lists}
    return kind is Numbers


def _with_texts_apart(parts: dict[type[Part], Part]) -> dict[type[Part], Part]:
    """Return the parts, where strings that hardly repeat are no longer kept in a table."""
    words = parts.get(Words)
    if not isinstance(words, Words) or len(words.table) <= _FEW_STRINGS:
        return parts
    there = words.slots.present
    if 2 * len(words.table) <= np.count_nonzero(there):
        return parts
    rows = words.slots.rows
    rows = np.flatnonzero(there).astype(np.int32) if rows is None else rows[there]
    texts = Texts().replaced(rows, rows, words.strings())
    return {kind: part for kind, part in parts.items() if kind is not Words} | {Texts: texts}
