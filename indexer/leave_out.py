"""Holds out a few likes of each user in a sample, to compare recipes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import sparse

from likewise.ranking.degrees import is_binary

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from likewise.ranking.array_types import CsrMatrix

# Bounds the work by the catalogue: so many scores are computed for each candidate at most.
_SCORES = 40_000_000
_MOST_LIKES = 4_000
# Of all likes, with this many or more: the served factors lack those that are held out.
MANY = 200_000
_SHARE_OF_MANY = 0.01
# Of the likes of one user, if there are too few users to hold out one like of each.
_SHARE_OF_A_USER = 0.1
# Fewer held-out likes than this decide nothing.
_FEWEST_HELD_OUT = 50
# Users with fewer likes have too few left after one is held out.
_FEWEST_LIKES = 3


class LeftOut(NamedTuple):
    """Held-out likes, in random order."""

    rest: CsrMatrix
    """CSR [m, n] without them."""
    users: NDArray[np.intp]
    items: NDArray[np.intp]


def leave_out(user_items: CsrMatrix, *, seed: int) -> LeftOut:
    """Return the matrix without one like of each user in a seeded sample.

    If there are few users, a tenth of the likes of each; none at all if that is too little to learn from. With weighted signals, what is held out weighs
    at least as much as a like, or, if nothing does, as much as the strongest signal: a model is chosen by how
    well it predicts likes, not views.
    """
    rng = np.random.default_rng(seed)
    lengths, most = np.diff(user_items.indptr), _most(user_items)
    strong, starts = _strong(user_items)
    counts = np.diff(starts)
    sample = rng.permutation(np.flatnonzero((lengths >= _FEWEST_LIKES) & (counts > 0)))[:most]
    counts = counts[sample]
    of_user = np.repeat(np.arange(len(sample)), counts)
    nth = np.arange(len(of_user)) - np.repeat(np.cumsum(counts) - counts, counts)
    places = (starts[sample][of_user] + nth)[np.lexsort((rng.random(len(nth)), of_user))]
    allowed = np.maximum(_SHARE_OF_A_USER * lengths[sample], 1)[of_user]
    eligible = np.flatnonzero(nth + 1 <= allowed)
    # First one like of each user, then a second one.
    taken = eligible[np.lexsort((rng.random(len(eligible)), nth[eligible]))[:most]]
    taken = rng.permutation(taken) if len(taken) >= _FEWEST_HELD_OUT else taken[:0]
    users, places = sample[of_user[taken]], places[taken]
    if strong is not None:
        places = strong[places]
    stays = np.ones(user_items.nnz, bool)
    stays[places] = False
    kept = np.bincount(users, minlength=len(lengths))
    indptr = np.concatenate([[0], np.cumsum(lengths - kept)])
    parts = (user_items.data[stays], user_items.indices[stays], indptr)
    rest = sparse.csr_array(parts, shape=user_items.shape)
    return LeftOut(rest, users, user_items.indices[places].astype(np.intp))


def _most(user_items: CsrMatrix) -> int:
    """Return how many likes to hold out at most."""
    most = min(_MOST_LIKES, _SCORES // max(user_items.shape[1], 1))
    return most if user_items.nnz < MANY else min(most, round(_SHARE_OF_MANY * user_items.nnz))


def _strong(user_items: CsrMatrix) -> tuple[NDArray[np.intp] | None, NDArray[np.integer]]:
    """Return the places of the entries that may be held out, and where those of each user begin [m + 1].

    None for the places if all may be.
    """
    if is_binary(user_items):
        return None, user_items.indptr
    strong = np.flatnonzero(user_items.data >= min(1, user_items.data.max()))
    return strong, np.searchsorted(strong, user_items.indptr)
