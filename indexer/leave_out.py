"""Holds out a few likes of each user in a sample, to compare recipes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar, cast

import numpy as np

from indexer.rows import rows_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from indexer.rows import Matrix, Rows

M = TypeVar("M", bound="Matrix")
M_co = TypeVar("M_co", bound="Matrix", covariant=True)

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


class LeftOut(NamedTuple, Generic[M_co]):
    """Held-out likes, in random order."""

    rest: M_co
    """The matrix [m, n] without them."""
    users: NDArray[np.intp]
    items: NDArray[np.intp]


def leave_out(user_items: M, *, seed: int) -> LeftOut[M]:
    """Return the matrix without one like of each user in a seeded sample.

    If there are few users, a tenth of the likes of each; none at all if that is too little to learn from.
    With weighted signals, what is held out weighs at least as much as a like, or, if nothing does, as much
    as the strongest signal: a model is chosen by how well it predicts likes, not views.
    """
    rng = np.random.default_rng(seed)
    rows = rows_of(user_items)
    lengths, most = rows.lengths(), _most(rows)
    counts = rows.strong_counts()
    sample = rng.permutation(np.flatnonzero((lengths >= _FEWEST_LIKES) & (counts > 0)))[:most]
    counts = counts[sample]
    of_user = np.repeat(np.arange(len(sample)), counts)
    nth = np.arange(len(of_user)) - np.repeat(np.cumsum(counts) - counts, counts)
    ordinals = nth[np.lexsort((rng.random(len(nth)), of_user))]
    allowed = np.maximum(_SHARE_OF_A_USER * lengths[sample], 1)[of_user]
    eligible = np.flatnonzero(nth + 1 <= allowed)
    # First one like of each user, then a second one.
    taken = eligible[np.lexsort((rng.random(len(eligible)), nth[eligible]))[:most]]
    taken = rng.permutation(taken) if len(taken) >= _FEWEST_HELD_OUT else taken[:0]
    users = sample[of_user[taken]]
    rest, items = rows.without(users, ordinals[taken])
    return LeftOut(cast("M", rest), users, items)


def _most(rows: Rows) -> int:
    """Return how many likes to hold out at most."""
    most = min(_MOST_LIKES, _SCORES // max(rows.shape[1], 1))
    return most if rows.nnz < MANY else min(most, round(_SHARE_OF_MANY * rows.nnz))
