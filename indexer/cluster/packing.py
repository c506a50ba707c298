"""Lists of ids as arrays, which travel and are stored without pickle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """Strings, one after another in UTF-8."""

    text: NDArray[np.uint8]
    ends: NDArray[np.int64]
    """Where each ends in the text."""

    def __len__(self) -> int:
        return len(self.ends)


def pack(ids: Sequence[str]) -> Packed:
    """Return the strings as arrays, in order."""
    encoded = [one.encode("utf-8", "surrogatepass") for one in ids]
    text = np.frombuffer(b"".join(encoded), np.uint8)
    return Packed(text, np.cumsum([len(one) for one in encoded], dtype=np.int64))


def unpack(packed: Packed) -> list[str]:
    """Return the strings that were packed."""
    text, ends = packed.text.tobytes(), packed.ends.tolist()
    starts = [0, *ends[:-1]]
    return [
        text[start:end].decode("utf-8", "surrogatepass")
        for start, end in zip(starts, ends, strict=bool(ends))
    ]
