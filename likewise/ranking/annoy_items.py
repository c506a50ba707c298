"""Annoy as the item index: the default, and the one that needs no extra."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np

from likewise.ranking.index import AnnoyVectors

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from likewise.ranking.array_types import FloatArray

FILE = "items.ann"

# Of the item vectors: the first have most of a score's energy, and cost a quarter of 256.
_LEADING = 64
# Vectors that Annoy compares, with and without a co-occurrence matrix: docs/ranking.md.
_EFFORT = 2_000
_EFFORT_ALONE = 32_000
# Times as many where a mask leaves fewer links to rely on.
_EFFORT_FILTERED = 8
# A mask that leaves fewer is not searched: `likewise.ranking.best_items`.
_LEAST_SHARE = 0.01


class AnnoyItems:
    """The leading dimensions of the item vectors in Annoy's trees, or all where no links help."""

    precise = False

    def __init__(self, vectors: AnnoyVectors) -> None:
        self._vectors = vectors

    @classmethod
    def build(
        cls,
        item_factors: FloatArray,
        score_weights: FloatArray,
        *,
        linked: bool,
        trees: int,
        seed: int,
    ) -> Self:
        """Return the index; see `likewise.ranking.item_index.build_item_index`."""
        indexed = item_factors[:, :_LEADING] if linked else item_factors
        vectors = indexed * score_weights[:, None]
        return cls(AnnoyVectors.build(vectors, metric="dot", trees=trees, seed=seed))

    @property
    def dimensions(self) -> int:
        """How many of the first dimensions of the item vectors are indexed."""
        return self._vectors.dimensions

    def near(
        self,
        vectors: FloatArray,
        wanted: int,
        *,
        allowed: NDArray[np.bool_] | None = None,
        alone: bool = False,
    ) -> list[NDArray[np.intp]]:
        """Return near items of each vector; see `likewise.ranking.item_index.ItemIndex`."""
        effort = _EFFORT_ALONE if alone else _EFFORT
        if allowed is not None:
            share = max(np.count_nonzero(allowed) / len(allowed), _LEAST_SHARE)
            wanted, effort = int(wanted / share), int(_EFFORT_FILTERED * effort / share)
        return [self._vectors.nearest(vector, wanted, effort=effort)[0] for vector in vectors]

    def save(self, directory: Path) -> None:
        """Write the index into the directory.

        Raises:
            OSError: the disk does not take it.
        """
        self._vectors.save(directory / FILE)
