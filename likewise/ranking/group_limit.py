"""At most so many items of one group in a list: of one artist, say."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from likewise.ranking.array_types import IntArray


# To compare all items with so many groups in turn takes no longer than to look them all up.
_COMPARED = 16


class GroupCounts:
    """How many items of each group a growing list has: at most `most`."""

    def __init__(self, most: int) -> None:
        """Begin an empty list."""
        self._most = most
        self._taken: Counter[int] = Counter()

    def take(self, code: int) -> bool:
        """Take an item of the group, below 0 for none; return False if the group has no room."""
        if self.is_full(code):
            return False
        self._taken[code] += 1
        return True

    def is_full(self, code: int) -> bool:
        """Whether a group has no room left."""
        return code >= 0 and self._taken[code] >= self._most


class GroupLimit(GroupCounts):
    """Which items a list may still take, while it grows from its first place to its last."""

    def __init__(self, codes: IntArray, most: int) -> None:
        """Begin an empty list. `codes` [n] has the group of each item, below 0 for none."""
        super().__init__(most)
        self.codes = codes

    def admit(self, rows: NDArray[np.intp], count: int) -> NDArray[np.intp]:
        """Take the first `count` of the rows that have room in their group; return their places."""
        taken: list[int] = []
        for place, code in enumerate(self.codes[rows].tolist()):
            if len(taken) == count:
                break
            if self.take(code):
                taken.append(place)
        return np.array(taken, np.intp)

    def closed(self, rows: NDArray[np.intp] | None = None) -> NDArray[np.bool_]:
        """Return which of the rows, or of all items [n], belong to a group without room."""
        codes = self.codes if rows is None else self.codes[rows]
        full = [code for code in self._taken if self.is_full(code)]
        if len(full) > _COMPARED:
            return np.isin(codes, full)
        closed = np.zeros(len(codes), np.bool_)
        for code in full:
            closed |= codes == code
        return closed
