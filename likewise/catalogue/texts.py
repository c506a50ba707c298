"""Strings that hardly repeat, such as titles: their UTF-8 end to end, without an object for each."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from likewise.catalogue.parts import EQUAL, ORDER
from likewise.catalogue.ragged import LENGTH_BITS, Ragged, lengths_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from likewise.catalogue.slots import Mask, Rows, Slots

_BLOCK = 65_536


@dataclass(frozen=True, slots=True, eq=False)
class Texts:
    """Unique strings. Equality compares those of equal length at once; order, one by one.

    The order of UTF-8 is that of Python's strings: by code point.
    """

    ragged: Ragged = field(default_factory=lambda: Ragged.empty(np.uint8))

    @property
    def slots(self) -> Slots:
        """See `Part.slots`."""
        return self.ragged.spans

    def replaced(self, rows: Rows, given: Rows, values: Sequence[Any]) -> Self:
        """See `Part.replaced`."""
        encoded = [value.encode() for value in values]
        lengths = np.full(len(rows), -1, np.int64)
        lengths[np.searchsorted(rows, given)] = np.fromiter(map(len, encoded), np.int64)
        data = np.frombuffer(b"".join(encoded), np.uint8)
        ragged = self.ragged.replaced(rows, lengths, data)
        return self if ragged is self.ragged else type(self)(ragged)

    def matches(self, op: str, operands: Sequence[Any]) -> Mask:
        """See `Part.matches`."""
        encoded = [operand.encode() for operand in operands]
        if op == EQUAL:
            return self._equal(encoded)
        compare = ORDER[op]
        found = np.zeros(len(self.slots.values), np.bool_)
        found[self.slots.present] = [
            any(compare(text, operand) for operand in encoded) for text in self._texts()
        ]
        return found

    def groups(self) -> NDArray[np.int64]:
        """See `Part.groups`."""
        numbers: dict[bytes, int] = {}
        codes = np.full(len(self.slots.values), -1, np.int64)
        codes[self.slots.present] = [
            numbers.setdefault(text, len(numbers)) for text in self._texts()
        ]
        return codes

    def read(self, spans: NDArray[np.int64]) -> Iterator[bytes]:
        """Yield the texts of these stored spans, of which none is absent."""
        data = self.ragged.data.data
        starts, lengths = spans >> LENGTH_BITS, lengths_of(spans)
        for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
            yield bytes(data[start : start + length])

    def _equal(self, operands: Sequence[bytes]) -> Mask:
        by_length: defaultdict[int, list[bytes]] = defaultdict(list)
        for operand in operands:
            by_length[len(operand)].append(operand)
        lengths, starts = self.ragged.lengths, self.ragged.starts
        found = np.zeros(len(lengths), np.bool_)
        for length, wanted in by_length.items():
            places = np.flatnonzero(lengths == length)
            for start in range(0, len(places), _BLOCK):
                block = places[start : start + _BLOCK]
                found[block] = _equal(self.ragged.data, starts[block], length, wanted)
        return found

    def _texts(self) -> Iterator[bytes]:
        """Yield the texts of the rows that have one, in the order of the rows."""
        return self.read(self.slots.values[self.slots.present])


def _equal(
    data: NDArray[np.uint8], starts: NDArray[np.int64], length: int, wanted: Sequence[bytes]
) -> Mask:
    """Return which texts of this length are one of those wanted, which have this length, too."""
    if length == 0:
        return np.ones(len(starts), np.bool_)
    texts = data[starts[:, None] + np.arange(length)].view(f"S{length}")[:, 0]
    # NumPy ignores zero bytes at the end. Texts of equal length differ without them, too.
    return np.isin(texts, np.array(wanted, f"S{length}"))
