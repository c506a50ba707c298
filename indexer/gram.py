"""``S = R'R`` as a linear map on blocks of vectors: never formed, and computed on all cores."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    from likewise.ranking.array_types import CsrMatrix, FloatArray

# Likes in a part of the matrix: its likes, and the image of its rows, stay in the cache while
# they are used a second time.
_LIKES_PER_PART = 250_000
# Vectors that go through the matrix at once: more of them share the cost of reading it, fewer
# stay in the cache.
_VECTORS_AT_ONCE = 64


class SymmetricMap(Protocol):
    """A symmetric positive semidefinite matrix as a linear map on blocks of vectors."""

    @property
    def size(self) -> int:
        """The number n of its rows and columns."""

    def __matmul__(self, block: FloatArray, /) -> FloatArray:
        """Return its product with a block, float32 [n, b]."""


class Gram:
    """``X -> R'(R X)`` for a sparse R, CSR float32 [m, n]. Equal input gives equal output.

    R is cut into parts of whole rows, ``S X = sum of R_p'(R_p X)``: each part is read once from
    memory for both products, no ``[m, b]`` image is ever held, R' is never stored, and the parts
    go to one thread for each core (SciPy's products let go of the GIL). The parts depend on R
    alone and are added in order, so that the number of threads makes no difference.
    """

    def __init__(self, matrix: CsrMatrix, threads: int | None = None) -> None:
        """Multiply by this matrix on so many threads; None: one for each core."""
        self.size: int = matrix.shape[1]
        self._parts = row_parts(matrix)
        self._threads = threads

    def __matmul__(self, block: FloatArray) -> FloatArray:
        """Return ``S X``, float32 [n, b], for X float32 [n, b]."""
        image = np.zeros(block.shape, np.float32)
        with ThreadPoolExecutor(self._threads or cores()) as threads:
            for start in range(0, block.shape[1], _VECTORS_AT_ONCE):
                some = slice(start, start + _VECTORS_AT_ONCE)
                vectors = np.ascontiguousarray(block[:, some])
                for share in threads.map(lambda part, x=vectors: part.T @ (part @ x), self._parts):
                    image[:, some] += share
        return image


def row_parts(matrix: CsrMatrix, likes_per_part: int = _LIKES_PER_PART) -> list[CsrMatrix]:
    """Return the matrix cut into parts of whole rows, in order; they share its memory."""
    pointers = matrix.indptr
    wanted = np.arange(likes_per_part, matrix.nnz, likes_per_part)
    cuts = np.unique(np.concatenate([[0], np.searchsorted(pointers, wanted), [matrix.shape[0]]]))
    parts = []
    for first, end in pairwise(cuts.tolist()):
        likes = slice(pointers[first], pointers[end])
        arrays = (
            matrix.data[likes],
            matrix.indices[likes],
            pointers[first : end + 1] - pointers[first],
        )
        parts.append(sparse.csr_array(arrays, shape=(end - first, matrix.shape[1])))
    return parts


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
