"""The values of one type in a column: numbers, booleans, repeated strings, unique strings, lists.

A part knows which of its values compare with a value in a given way. It is immutable, except for a
table of strings that only grows: an older part never refers to what was added later.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np

from likewise.catalogue.ragged import Ragged
from likewise.catalogue.slots import Mask, Rows, Slots, absent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

ORDER: dict[str, Callable[[Any, Any], Any]] = {
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}
_FEW_STRINGS = 1_024
EQUAL = "$in"
"""The operation that holds for each value that is one of the operands."""


class Part(Protocol):
    """The values of one type in a column."""

    @property
    def slots(self) -> Slots:
        """Where the values are."""

    def replaced(self, rows: Rows, given: Rows, values: Sequence[Any]) -> Self:
        """Return a part in which these rows have no value, except for `given`, which have these.

        `given` is a subset of `rows`; both ascend. Returns `self` if nothing changes.
        """

    def matches(self, op: str, operands: Sequence[Any]) -> Mask:
        """Return which of the stored values [k] compare so with one of the operands of this type."""

    def groups(self) -> NDArray[np.int64]:
        """Return numbers [k] from 0 that are equal for equal values; -1 for absent ones."""


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """Integers and floats, compared as floats of 64 bits."""

    slots: Slots = field(default_factory=lambda: Slots.empty(np.float64))

    def replaced(self, rows: Rows, given: Rows, values: Sequence[Any]) -> Self:
        """See `Part.replaced`."""
        slots = self.slots.replaced(rows, _placed(rows, given, np.array(values, np.float64)))
        return self if slots is self.slots else type(self)(slots)

    def matches(self, op: str, operands: Sequence[Any]) -> Mask:
        """See `Part.matches`."""
        numbers = np.array(operands, np.float64)
        if op != EQUAL:
            return _any(ORDER[op](self.slots.values, number) for number in numbers)
        if len(numbers) == 1:
            return np.asarray(self.slots.values == numbers[0])
        return np.isin(self.slots.values, numbers)

    def groups(self) -> NDArray[np.int64]:
        """See `Part.groups`."""
        codes = np.unique(self.slots.values, return_inverse=True)[1].astype(np.int64)
        codes[~self.slots.present] = -1
        return codes


@dataclass(frozen=True, slots=True, eq=False)
class Flags:
    """Booleans. They have no order."""

    slots: Slots = field(default_factory=lambda: Slots.empty(np.int8))

    def replaced(self, rows: Rows, given: Rows, values: Sequence[Any]) -> Self:
        """See `Part.replaced`."""
        slots = self.slots.replaced(rows, _placed(rows, given, np.array(values, np.int8)))
        return self if slots is self.slots else type(self)(slots)

    def matches(self, op: str, operands: Sequence[Any]) -> Mask:
        """See `Part.matches`."""
        if op != EQUAL:
            return np.zeros(len(self.slots.values), np.bool_)
        return _any(self.slots.values == operand for operand in operands)

    def groups(self) -> NDArray[np.int64]:
        """See `Part.groups`."""
        return self.slots.values.astype(np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Words:
    """Strings that repeat: each distinct one is stored, and compared, once."""

    slots: Slots = field(default_factory=lambda: Slots.empty(np.int32))
    table: dict[str, int] = field(default_factory=dict)

    def replaced(self, rows: Rows, given: Rows, values: Sequence[Any]) -> Self:
        """See `Part.replaced`."""
        codes = coded(values, self.table)
        slots = self.slots.replaced(rows, _placed(rows, given, codes))
        return self if slots is self.slots else type(self)(slots, self.table)

    def matches(self, op: str, operands: Sequence[Any]) -> Mask:
        """See `Part.matches`."""
        if op == EQUAL and len(operands) == 1:
            code = self.table.get(operands[0], -2)  # which no row has
            return np.asarray(self.slots.values == code)
        matches = table_matches(self.table, op, operands)
        return np.asarray(matches[self.slots.values])

    def groups(self) -> NDArray[np.int64]:
        """See `Part.groups`."""
        return self.slots.values.astype(np.int64)

    def strings(self) -> list[str]:
        """Return the strings of the rows that have one, in the order of the rows."""
        strings = list(self.table)
        return [strings[code] for code in self.slots.values[self.slots.present].tolist()]


@dataclass(frozen=True, slots=True, eq=False)
class Lists:
    """Lists of strings: an operation holds for a list if it does for any element."""

    ragged: Ragged = field(default_factory=lambda: Ragged.empty(np.int32))
    table: dict[str, int] = field(default_factory=dict)

    @property
    def slots(self) -> Slots:
        """See `Part.slots`."""
        return self.ragged.spans

    def replaced(self, rows: Rows, given: Rows, values: Sequence[Any]) -> Self:
        """See `Part.replaced`."""
        table = self.table
        elements = coded([one for value in values for one in value], table)
        lengths = np.fromiter(map(len, values), np.int64, len(values))
        ragged = self.ragged.replaced(rows, _placed(rows, given, lengths), elements)
        if ragged is self.ragged:
            return self
        if len(table) > len(ragged.data) + _FEW_STRINGS:
            strings = list(table)
            used, data = np.unique(ragged.data, return_inverse=True)
            table = {strings[code]: at for at, code in enumerate(used.tolist())}
            ragged = Ragged(ragged.spans, data.astype(np.int32), ragged.in_use)
        return type(self)(ragged, table)

    def matches(self, op: str, operands: Sequence[Any]) -> Mask:
        """See `Part.matches`."""
        hits = table_matches(self.table, op, operands)[self.ragged.data]
        before = np.zeros(len(hits) + 1, np.int32)
        np.cumsum(hits, out=before[1:])
        starts = self.ragged.starts
        found = before[starts + np.maximum(self.ragged.lengths, 0)] > before[starts]
        return np.asarray(found)

    def groups(self) -> NDArray[np.int64]:
        """See `Part.groups`; of a list, the number of its first element."""
        there = self.slots.present
        codes = np.full(len(there), -1, np.int64)
        codes[there] = self.ragged.data[self.ragged.starts[there]]
        return codes

    def counts(self) -> dict[str, int]:
        """Return how often each string is in a list."""
        codes = self.ragged.all_in_use()
        strings = list(self.table)  # at once: another thread may add to the table
        found = np.bincount(codes, minlength=len(strings)).tolist()
        return {one: count for one, count in zip(strings, found, strict=False) if count}


def coded(values: Sequence[str], table: dict[str, int]) -> Rows:
    """Return the number of each string; those that are new to the table are added to it."""
    for value in dict.fromkeys(values):
        if value not in table:
            table[value] = len(table)
    return np.fromiter(map(table.__getitem__, values), np.int32, len(values))


def table_matches(table: dict[str, int], op: str, operands: Sequence[Any]) -> Mask:
    """Return for each number of the table, and then for -1, whether its string compares so."""
    strings = list(table)  # at once: another thread may add to the table
    found = np.zeros(len(strings) + 1, np.bool_)
    if op == EQUAL:
        codes = [table.get(operand, -1) for operand in operands]
        found[[code for code in codes if 0 <= code < len(strings)]] = True
    else:
        compare = ORDER[op]
        for operand in operands:
            found[:-1] |= np.fromiter(
                (compare(one, operand) for one in strings), np.bool_, len(strings)
            )
    return found


def _placed(rows: Rows, given: Rows, values: NDArray[Any]) -> NDArray[Any]:
    """Return an array [rows] of the values at the places of `given`, and of absent ones elsewhere."""
    if len(given) == len(rows):
        return values
    placed = absent(len(rows), values.dtype)
    placed[np.searchsorted(rows, given)] = values
    return placed


def _any(masks: Iterable[Mask]) -> Mask:
    return np.asarray(np.logical_or.reduce(list(masks)))
