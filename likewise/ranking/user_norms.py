"""The lengths of the vectors of all users in a snapshot, for cosines between users."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from likewise.ranking.array_types import CsrMatrix, FloatArray

# Users whose vectors are in memory at a time.
_USERS_AT_ONCE = 8_192


def user_norms(
    user_items: CsrMatrix, query_weights: FloatArray, item_factors: FloatArray
) -> FloatArray:
    """Return the length of each user's sum of weighted item vectors, float32 [m].

    `user_items` is CSR [m, n], `item_factors` [n, d]. Without vectors (d = 0), the length of the
    weighted likes themselves.
    """
    if not item_factors.shape[1]:
        squares = user_items.power(2) @ np.square(query_weights)
        return np.sqrt(np.asarray(squares, np.float32))
    vectors = item_factors * query_weights[:, None]
    norms = np.zeros(user_items.shape[0], np.float32)
    for start in range(0, len(norms), _USERS_AT_ONCE):
        part = slice(start, start + _USERS_AT_ONCE)
        norms[part] = np.linalg.norm(user_items[part] @ vectors, axis=1)
    return norms
