"""faiss as the item index, from the extra `search`: inverted lists of 4-bit codes.

Each vector is in the list of the centroid that it has the largest inner product with, as one code for every few
dimensions (Jégou et al., "Product Quantization for Nearest Neighbor Search", 2011). A search scans the lists of the
centroids nearest to the query, and looks up 32 codes at a time in registers (André et al., "Cache Locality Is Not
Enough", 2015).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import faiss
import numpy as np

from likewise.ranking.quantised_tables import CENTROIDS_OF_A_CODE, QuantisedTables

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from likewise.ranking.array_types import FloatArray

# Lists for each root of the number of items, and vectors that they are trained on.
_LISTS = 2
_TRAINED_PER_LIST = 32
_LEAST_TRAINED = 8_192
_ROUNDS = 8
# A search scans one list in so many, at least so many lists, and more of them without links.
_SCANNED = 24
_LEAST_SCANNED = 64
_TIMES_ALONE = 4
# The lists scanned hold so many times the vectors wanted.
_HELD = 8
# A mask that leaves fewer is not searched: `likewise.ranking.best_items`.
_LEAST_SHARE = 0.01
# Vectors that are encoded at a time: 64 MiB at rank 256.
_AT_ONCE = 65_536


class QuantisedItems:
    """All dimensions of the item vectors, one or two bits for each."""

    precise = True

    def __init__(self, tables: QuantisedTables, dimensions: int) -> None:
        """Make the index of tables whose shapes and contents have been checked."""
        self.dimensions = dimensions
        self._tables = tables
        self._quantizer, index = _untrained(tables.centroids.shape, tables.codebooks.shape[2], 0)
        self._quantizer.add(np.ascontiguousarray(tables.centroids))
        faiss.copy_array_to_vector(tables.codebooks.ravel(), index.pq.centroids)
        index.is_trained = True
        index.add_sa_codes(_packed(tables, index), np.arange(len(tables.codes)))
        self._index = faiss.IndexIVFPQFastScan(index)

    @classmethod
    def build(cls, item_factors: FloatArray, score_weights: FloatArray, *, seed: int) -> Self:
        """Return the index; see `likewise.ranking.item_index.build_item_index`."""
        n_items, dimensions = item_factors.shape
        span = 4 if dimensions > 64 else 2
        width = -(-dimensions // (2 * span)) * 2 * span
        n_lists = int(_LISTS * np.sqrt(n_items))
        quantizer, index = _untrained((n_lists, width), span, seed)
        drawn = np.random.default_rng(seed).permutation(n_items)
        drawn = np.sort(drawn[: max(_TRAINED_PER_LIST * n_lists, _LEAST_TRAINED)])
        index.train(_padded(item_factors[drawn] * score_weights[drawn, None], width))
        parts = [
            index.sa_encode(_padded(item_factors[part] * score_weights[part, None], width))
            for part in _parts(n_items)
        ]
        lists, codes = _unpacked(np.concatenate(parts), index)
        books = faiss.vector_to_array(index.pq.centroids).reshape(-1, CENTROIDS_OF_A_CODE, span)
        return cls(
            QuantisedTables(quantizer.reconstruct_n(0, n_lists), books, lists, codes), dimensions
        )

    def near(
        self,
        vectors: FloatArray,
        wanted: int,
        *,
        allowed: NDArray[np.bool_] | None = None,
        alone: bool = False,
    ) -> list[NDArray[np.intp]]:
        """Return near items of each vector; see `likewise.ranking.item_index.ItemIndex`."""
        faiss.omp_set_num_threads(1)  # it is set for each thread
        n_lists, n_items = self._index.nlist, self._index.ntotal
        scanned = max(n_lists // _SCANNED, _LEAST_SCANNED) * (_TIMES_ALONE if alone else 1)
        scanned = max(scanned, _HELD * wanted * n_lists // n_items)
        selector = None
        if allowed is not None:
            share = max(np.count_nonzero(allowed) / len(allowed), _LEAST_SHARE)
            scanned = int(scanned / share)
            bits = np.packbits(allowed, bitorder="little")
            selector = faiss.IDSelectorBitmap(bits)
        params = faiss.IVFSearchParameters(nprobe=min(scanned, n_lists), sel=selector)
        queries = _padded(vectors, self._index.d)
        _, rows = self._index.search(queries, min(wanted, n_items), params=params)
        return [each[each >= 0] for each in rows]

    def save(self, directory: Path) -> None:
        """Write the tables of the index into the directory.

        Raises:
            OSError: the disk does not take them.
        """
        self._tables.save(directory)


def _untrained(shape: tuple[int, ...], span: int, seed: int) -> tuple[Any, Any]:
    """Return an empty index of so many lists and dimensions, and before it the one of its centroids."""
    n_lists, width = shape
    quantizer = faiss.IndexFlatIP(width)
    index = faiss.IndexIVFPQ(
        quantizer, width, n_lists, width // span, 4, faiss.METRIC_INNER_PRODUCT
    )
    index.by_residual = False
    for training in (index.cp, index.pq.cp):
        training.seed = seed
        training.niter = _ROUNDS
        training.min_points_per_centroid = 1
    return quantizer, index


def _parts(n_items: int) -> Iterator[slice]:
    for start in range(0, n_items, _AT_ONCE):
        yield slice(start, start + _AT_ONCE)


def _padded(vectors: FloatArray, width: int) -> FloatArray:
    """Return the vectors with zeros in further dimensions."""
    padded = np.zeros((len(vectors), width), np.float32)
    padded[:, : vectors.shape[1]] = vectors
    return padded


def _packed(tables: QuantisedTables, index: Any) -> NDArray[np.uint8]:
    """Return for each item its list, in as many bytes as faiss takes for it, and its codes."""
    lists = np.ascontiguousarray(tables.lists, "<u4").view(np.uint8).reshape(-1, 4)
    return np.hstack([lists[:, : index.coarse_code_size()], tables.codes])


def _unpacked(packed: NDArray[np.uint8], index: Any) -> tuple[Any, Any]:
    """Return the list and the codes of each item."""
    taken = index.coarse_code_size()
    lists = np.zeros((len(packed), 4), np.uint8)
    lists[:, :taken] = packed[:, :taken]
    return lists.view("<u4").ravel().astype(np.int32), np.ascontiguousarray(packed[:, taken:])
