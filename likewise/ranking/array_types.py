"""Types of the arrays that ranking works on, by their dtype."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int32]
CsrMatrix = csr_array[np.float32, tuple[int, int]]
"""A sparse matrix by rows: `indptr` [rows + 1], `indices` and `data` [nnz]."""


def empty_matrix(rows: int, columns: int) -> CsrMatrix:
    """Return a matrix without entries."""
    nothing = (np.zeros(0, np.float32), np.zeros(0, np.int32), np.zeros(rows + 1, np.int32))
    return csr_array(nothing, shape=(rows, columns))
