"""The normalised interaction matrix R, which is factorised."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from likewise.ranking.degrees import is_binary, item_degrees, power, user_degrees

if TYPE_CHECKING:
    from likewise.ranking.array_types import CsrMatrix
    from likewise.ranking.degrees import Degrees


def normalise(
    user_items: CsrMatrix,
    user_exponent: float,
    item_exponent: float,
    degrees: Degrees | None = None,
) -> CsrMatrix:
    """Return ``D_u^-a W D_i^-b`` as CSR float32 [m, n]; empty rows and columns stay empty.

    `user_items` is W, CSR [m, n] with the weight of each pair; the degrees are its sums.
    `degrees` [n] are those of the items, if these rows are only some of all.
    """
    users = power(user_degrees(user_items), -user_exponent)
    items = power(item_degrees(user_items) if degrees is None else degrees, -item_exponent)
    scaled = user_items.astype(np.float32, copy=True)
    scaled.data = np.repeat(users, np.diff(scaled.indptr)) * items[scaled.indices]
    if not is_binary(user_items):
        scaled.data *= user_items.data
    return scaled
