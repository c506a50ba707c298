"""What was computed of columns, kept until one of them changes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from likewise.catalogue.filters import comparisons

if TYPE_CHECKING:
    from collections.abc import Hashable

    from numpy.typing import NDArray

    from likewise.messages.where import Where

MAX_BYTES = 64 << 20
_OVERHEAD = 500
"""About what an entry, or a comparison in its key, takes in Python objects."""


@dataclass(frozen=True, slots=True)
class _Entry:
    made_of: tuple[int, ...]
    array: NDArray[Any]
    size: int


class ArrayCache:
    """Arrays by key, the least recently used removed beyond a number of bytes. Thread-safe.

    Each was made of things with serial numbers, and is found while its user has these very things.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        """Start empty."""
        self._max_bytes = max_bytes
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._bytes = 0
        self._changing = threading.Lock()

    def __len__(self) -> int:
        """Return how many arrays there are."""
        return len(self._entries)

    def find(self, key: Hashable, made_of: tuple[int, ...]) -> NDArray[Any] | None:
        """Return the array, if it is there and was made of what has these serial numbers."""
        with self._changing:
            entry = self._entries.get(key)
            if entry is None or entry.made_of != made_of:
                return None
            self._entries.move_to_end(key)
            return entry.array

    def add(
        self, key: Hashable, made_of: tuple[int, ...], array: NDArray[Any], key_bytes: int = 0
    ) -> NDArray[Any]:
        """Return the array, made read-only, and keep it. Of large filters, the key counts, too."""
        array.flags.writeable = False
        entry = _Entry(made_of, array, array.nbytes + key_bytes + _OVERHEAD)
        with self._changing:
            self._remove(key)
            self._entries[key] = entry
            self._bytes += entry.size
            while self._bytes > self._max_bytes:
                self._remove(next(iter(self._entries)))
        return array

    def _remove(self, key: Hashable) -> None:
        if (entry := self._entries.pop(key, None)) is not None:
            self._bytes -= entry.size


def bytes_of(where: Where) -> int:
    """Return about how many bytes a filter takes."""
    return sum(
        _OVERHEAD
        + sum(
            4 * len(value) + 60 if isinstance(value, str) else 32
            for value in (one.value if isinstance(one.value, tuple) else (one.value,))
        )
        for one in comparisons(where)
    )
