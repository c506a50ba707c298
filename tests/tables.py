"""Compares interaction matrices: the same likes must give the same matrix, bit for bit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from indexer.interactions import Interactions


def assert_identical(one: Interactions, other: Interactions) -> None:
    """Fails unless tables, shapes, dtypes and every array of the two are the same."""
    assert one.user_ids == other.user_ids
    assert one.item_ids == other.item_ids
    assert one.user_items.shape == other.user_items.shape
    for part in ("indptr", "indices", "data"):
        left, right = getattr(one.user_items, part), getattr(other.user_items, part)
        assert left.dtype == right.dtype, part
        np.testing.assert_array_equal(left, right, err_msg=part)
