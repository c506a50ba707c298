"""A sequence of numbers for each row that has one, end to end in one array: texts and lists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from likewise.catalogue.slots import Rows, Slots

Numbers: TypeAlias = NDArray[np.int64]

LENGTH_BITS = 20
"""A sequence comes from a record of 64 KiB at most, so it is shorter than 2^20."""
_SLACK = 4_096
_BLOCK = 8_192


@dataclass(frozen=True, slots=True, eq=False)
class Ragged:
    """Sequences by row; immutable. What no row uses any longer is removed when it is half of all."""

    spans: Slots
    """Where the row's sequence begins, times 2^20, plus its length."""
    data: NDArray[Any]
    """All sequences, and what is not used any longer."""
    in_use: int = 0
    """The length of all sequences together."""

    @classmethod
    def empty(cls, dtype: type[np.generic]) -> Ragged:
        """Return no sequences."""
        return cls(Slots.empty(np.int64), np.zeros(0, dtype))

    @property
    def starts(self) -> Numbers:
        """[k] where each stored sequence begins; of an absent one, anywhere."""
        return self.spans.values >> LENGTH_BITS

    @property
    def lengths(self) -> Numbers:
        """[k] the length of each stored sequence; -1 for an absent one."""
        return lengths_of(self.spans.values)

    def all_in_use(self) -> NDArray[Any]:
        """Return all sequences end to end, in the order of their rows."""
        return self._gathered(self.spans.values)

    def replaced(self, rows: Rows, lengths: Numbers, data: NDArray[Any]) -> Ragged:
        """Return the sequences in which these rows, ascending, have these, end to end in `data`.

        A length of -1 removes the row's sequence. Returns `self` if nothing changes.
        """
        before = self.spans.at(rows)
        if np.array_equal(lengths_of(before), lengths) and np.array_equal(
            self._gathered(before), data
        ):
            return self
        used = np.maximum(lengths, 0)
        starts = len(self.data) + np.cumsum(used) - used
        spans = np.where(lengths < 0, -1, (starts << LENGTH_BITS) | used)
        in_use = self.in_use + int(used.sum() - np.maximum(lengths_of(before), 0).sum())
        grown = Ragged(self.spans.replaced(rows, spans), np.concatenate([self.data, data]), in_use)
        return grown._without_waste()

    def _without_waste(self) -> Ragged:
        if len(self.data) <= 2 * self.in_use + _SLACK:
            return self
        lengths = np.maximum(self.lengths, 0)
        starts = np.cumsum(lengths) - lengths
        spans = np.where(self.spans.values < 0, -1, (starts << LENGTH_BITS) | lengths)
        data = self.all_in_use()
        return Ragged(Slots(spans, self.spans.rows), data, self.in_use)

    def _gathered(self, spans: Numbers) -> NDArray[Any]:
        """Return these sequences end to end."""
        blocks = range(
            0, len(spans), _BLOCK
        )  # the numbers that index them take eight times as much
        pieces = [self._gathered_block(spans[start : start + _BLOCK]) for start in blocks]
        return np.concatenate(pieces) if pieces else self.data[:0]

    def _gathered_block(self, spans: Numbers) -> NDArray[Any]:
        lengths = np.maximum(lengths_of(spans), 0)
        ends = np.cumsum(lengths)
        first = np.repeat((spans >> LENGTH_BITS) - (ends - lengths), lengths)
        return self.data[first + np.arange(len(first))]


def lengths_of(spans: Numbers) -> Numbers:
    """Return the length of each span; -1 for an absent one."""
    return np.where(spans < 0, -1, spans & ((1 << LENGTH_BITS) - 1))
