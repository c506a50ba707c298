"""Holds out one like of each user in a small sample, to compare recipes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from likewise.ranking.array_types import CsrMatrix
# Share of all likes held out at most; the served factors may lack these.
_HELD_OUT_SHARE = 0.01
_MOST_USERS = 1_000
# Bounds the work by the catalogue: so many scores are computed for each candidate.
_SCORES = 16_000_000
# Users with fewer likes have too few left after one is held out.
_FEWEST_LIKES = 3


class LeftOut(NamedTuple):
    """Held-out likes, one per user."""

    rest: CsrMatrix
    """CSR [m, n] without them."""
    users: NDArray[np.intp]
    items: NDArray[np.intp]


def leave_one_out(user_items: CsrMatrix, *, seed: int) -> LeftOut:
    """Return the matrix without one like of each user in a seeded sample."""
    rng = np.random.default_rng(seed)
    lengths = np.diff(user_items.indptr)
    eligible = np.flatnonzero(lengths >= _FEWEST_LIKES)
    width = max(user_items.shape[1], 1)
    size = min(_MOST_USERS, _SCORES // width, round(_HELD_OUT_SHARE * user_items.nnz))
    users = np.sort(rng.permutation(eligible)[:size])
    places = user_items.indptr[users] + rng.integers(0, lengths[users])
    stays = np.ones(user_items.nnz, bool)
    stays[places] = False
    kept = np.bincount(users, minlength=len(lengths))
    indptr = np.concatenate([[0], np.cumsum(lengths - kept)])
    parts = (user_items.data[stays], user_items.indices[stays], indptr)
    rest = sparse.csr_array(parts, shape=user_items.shape)
    return LeftOut(rest, users, user_items.indices[places].astype(np.intp))
