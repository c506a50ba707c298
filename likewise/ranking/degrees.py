"""Degrees of the interaction matrix: how much weight each user and each item has.

A degree is the sum of the weights in a row or a column, as in any weighted graph (Chung, "Spectral Graph
Theory", 1997), not the number of entries. So the less a kind of signal weighs, the less it changes the
matrix, until it changes nothing; and with likes alone, which all weigh 1, a degree is their number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from likewise.ranking.array_types import CsrMatrix, FloatArray

    Degrees = NDArray[np.integer] | NDArray[np.float64]


def is_binary(matrix: CsrMatrix) -> bool:
    """Whether every entry is 1, as it is with likes alone; True without entries."""
    data = matrix.data
    return not len(data) or bool(data[0] == 1 and (data == 1).all())


def item_degrees(user_items: CsrMatrix) -> Degrees:
    """Return the sum of each column of a CSR [m, n]: int64 [n] if it is binary, else float64."""
    if is_binary(user_items):
        return np.bincount(user_items.indices, minlength=user_items.shape[1])
    return np.bincount(user_items.indices, user_items.data, minlength=user_items.shape[1])


def user_degrees(user_items: CsrMatrix) -> Degrees:
    """Return the sum of each row of a CSR [m, n]: integers [m] if it is binary, else float64."""
    lengths = np.diff(user_items.indptr)
    if is_binary(user_items):
        return lengths
    rows = np.repeat(np.arange(len(lengths)), lengths)
    return np.bincount(rows, user_items.data, minlength=len(lengths))


def power(degrees: Degrees, exponent: float) -> FloatArray:
    """Return ``d^exponent`` of each degree, float32; a degree below 1 counts as 1.

    So what has less weight than one like is not scaled up.
    """
    powers: FloatArray = np.maximum(degrees, 1).astype(np.float32) ** np.float32(exponent)
    return powers
