"""Approximate nearest neighbours: Annoy behind a typed border.

Annoy's files have no header: loading one with another dimension or metric crashes the process.
So dimension and metric are in the model's manifest and passed in here, and files are checked
against their checksum, and their nodes looked at, before they are loaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np
from annoy import AnnoyIndex

from likewise.errors import ModelFileError
from likewise.ranking.index_files import Metric, check_index

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


class AnnoyVectors:
    """An index over the rows of a matrix. Queries may run in several threads at once."""

    def __init__(self, index: AnnoyIndex | None, *, dimensions: int, metric: Metric) -> None:
        """Wrap an index that is built; without one, have no rows."""
        self._index = AnnoyIndex(dimensions, metric) if index is None else index
        self.dimensions = dimensions
        self.metric = metric

    @classmethod
    def build(
        cls, vectors: NDArray[np.float32], *, metric: Metric, trees: int, seed: int, jobs: int = -1
    ) -> Self:
        """Return an index over the rows of `vectors` [rows, dimensions].

        The same vectors, trees and seed give the same index. `jobs` threads build it (-1: one
        for each core).
        """
        if not vectors.shape[1]:
            vectors = np.zeros((len(vectors), 1), np.float32)  # Annoy knows no empty vectors
        dimensions = vectors.shape[1]
        index = AnnoyIndex(dimensions, metric)
        index.set_seed(seed)
        for row, vector in enumerate(vectors):
            index.add_item(row, vector)
        index.build(trees, jobs)
        return cls(index, dimensions=dimensions, metric=metric)

    @classmethod
    def load(cls, path: Path, *, dimensions: int, metric: Metric, rows: int) -> Self:
        """Return the index of so many rows in the file, mapped into memory and shared with other processes.

        Raises:
            ModelFileError: the file can't be mapped, or a search of it would not be safe.
        """
        check_index(path, dimensions=dimensions, metric=metric, rows=rows)
        index = AnnoyIndex(dimensions, metric)
        try:
            index.load(str(path))
        except OSError as error:
            raise ModelFileError(f"the Annoy index {path.name} can't be loaded: {error}") from error
        return cls(index, dimensions=dimensions, metric=metric)

    def save(self, path: Path) -> None:
        """Write the index to a new file.

        Raises:
            OSError: the file can't be written.
        """
        self._index.save(str(path))

    def __len__(self) -> int:
        return int(self._index.get_n_items())

    def nearest(
        self, vector: NDArray[np.float32], count: int, *, effort: int = -1
    ) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        """Return up to `count` rows, nearest first, and their similarities.

        `effort` is how many rows to look at, about; -1: `count` in each tree.
        The similarity is the cosine for `angular` (Annoy gives the distance sqrt(2 - 2 cos))
        and the inner product for `dot`.
        """
        rows, distances = self._index.get_nns_by_vector(vector, count, effort, True)
        found = np.asarray(rows, np.intp)
        if self.metric == "angular":
            return found, (1 - np.square(distances, dtype=np.float32) / 2).astype(np.float32)
        return found, np.asarray(distances, np.float32)

    def nearest_of_each(
        self, vectors: NDArray[np.float32], count: int
    ) -> list[tuple[NDArray[np.intp], NDArray[np.float32]]]:
        """Return what `nearest` does for each row of `vectors` [B, dimensions]."""
        return [self.nearest(vector, count) for vector in vectors]
