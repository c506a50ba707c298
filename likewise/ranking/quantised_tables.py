"""What an index of inverted lists consists of, as tables: made, written and checked without faiss."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from likewise.ranking.array_types import FloatArray, IntArray

PREFIX = "quantised."
"""What the names of the tables' files begin with."""
CENTROIDS_OF_A_CODE = 16
"""Codes have four bits."""


class QuantisedTables(NamedTuple):
    """The vectors of `n` items in `l` lists, cut into `m` spans of `s` dimensions each."""

    centroids: FloatArray
    """[l, m s] of the lists."""
    codebooks: FloatArray
    """[m, 16, s] what each code means in each span."""
    lists: IntArray
    """[n] the list of each item."""
    codes: NDArray[np.uint8]
    """[n, m / 2] two codes a byte."""

    def save(self, directory: Path) -> None:
        """Write each table to a file of the directory.

        Raises:
            OSError: the disk does not take them.
        """
        for name, table in self._asdict().items():
            np.save(directory / f"{PREFIX}{name}.npy", table, allow_pickle=False)
