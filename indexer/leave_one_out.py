"""Holds out one like of each user in a small sample, to compare recipes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import sparse

from likewise.ranking.degrees import is_binary

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
    """Return the matrix without one like of each user in a seeded sample.

    With weighted signals, what is held out weighs at least as much as a like, or, if nothing does, as much as
    the strongest signal: a model is chosen by how well it predicts likes, not views.
    """
    rng = np.random.default_rng(seed)
    lengths = np.diff(user_items.indptr)
    strong, starts = _strong(user_items)
    choices = np.diff(starts)
    eligible = np.flatnonzero((lengths >= _FEWEST_LIKES) & (choices > 0))
    width = max(user_items.shape[1], 1)
    size = min(_MOST_USERS, _SCORES // width, round(_HELD_OUT_SHARE * user_items.nnz))
    users = np.sort(rng.permutation(eligible)[:size])
    places = starts[users] + rng.integers(0, choices[users])
    if strong is not None:
        places = strong[places]
    stays = np.ones(user_items.nnz, bool)
    stays[places] = False
    kept = np.bincount(users, minlength=len(lengths))
    indptr = np.concatenate([[0], np.cumsum(lengths - kept)])
    parts = (user_items.data[stays], user_items.indices[stays], indptr)
    rest = sparse.csr_array(parts, shape=user_items.shape)
    return LeftOut(rest, users, user_items.indices[places].astype(np.intp))


def _strong(user_items: CsrMatrix) -> tuple[NDArray[np.intp] | None, NDArray[np.integer]]:
    """Return the places of the entries that may be held out, and where those of each user begin [m + 1].

    None for the places if all may be.
    """
    if is_binary(user_items):
        return None, user_items.indptr
    strong = np.flatnonzero(user_items.data >= min(1, user_items.data.max()))
    return strong, np.searchsorted(strong, user_items.indptr)
