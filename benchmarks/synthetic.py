"""Synthetic likes that look like real ones where it matters to speed.

A few items have most of the likes, few users have most of them, and users who agree once agree
again. Uniform noise has none of this: it would make every cache miss and every factor useless.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.sparse import csr_array

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from likewise.messages.ids import ItemId, UserId

CsrMatrix = csr_array[np.float32, tuple[int, int]]

POPULARITY_EXPONENT = 0.9
"""Popularity falls with the rank to this power: Zipf's law, a little milder, as ratings show it."""
_POPULARITY_SHIFT = 10.0  # flattens the head: nothing is liked by nearly everybody
_ITEMS_PER_CLUSTER = 250
_MOST_CLUSTERS = 200
_TASTES = 3  # clusters that a user mixes
_OPEN_MINDED = 0.2  # share of a user's likes that come from anywhere
_ACTIVITY_SIGMA = 0.8  # of the lognormal number of likes
_LARGEST_SHARE = 4  # nobody likes more than one item in so many
_USERS_AT_ONCE = 50_000  # bounds the memory of the draws
_DRAWS = 6  # rounds in which likes drawn twice are replaced


class Catalogue(NamedTuple):
    """The items, as likes are drawn from them: sorted by cluster."""

    items: NDArray[np.int32]
    """Column of each item in the matrix; shape (items,)."""
    cumulated: NDArray[np.float64]
    """Popularity summed up before and with each item, from 0 to 1; shape (items + 1,)."""
    first: NDArray[np.int64]
    """Where each cluster begins, and the end of the last; shape (clusters + 1,)."""


def synthetic_likes(
    users: int, items: int, *, likes_per_user: int = 40, seed: int = 0
) -> CsrMatrix:
    """Return a binary matrix (users, items) of about `likes_per_user` likes in each row.

    CSR, float32 ones, indices sorted, every row has a like; the same arguments give the same
    matrix. Popularity follows a power law, activity is lognormal, and four in five likes of a user
    come from the three clusters of items that make up the user's taste.
    """
    rng = np.random.default_rng(seed)
    catalogue = _catalogue(items, rng)
    parts = [
        _likes_of(_activity(size, items, likes_per_user, rng), catalogue, rng)
        for size in _sizes(users)
    ]
    lengths = np.concatenate([lengths for lengths, _ in parts])
    columns = np.concatenate([columns for _, columns in parts])
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    made = csr_array((np.ones(len(columns), np.float32), columns, indptr), shape=(users, items))
    made.has_sorted_indices = made.has_canonical_format = True
    return made


def user_ids(users: int) -> list[UserId]:
    """Return an id for each row, in sorted order and all of one length: "u0000042"."""
    return [f"u{row:07d}" for row in range(users)]  # type: ignore[misc]  # NewType, a million times


def item_ids(items: int) -> list[ItemId]:
    """Return an id for each column, in sorted order and all of one length: "i0000042"."""
    return [f"i{column:07d}" for column in range(items)]  # type: ignore[misc]  # as above


def clusters_of(items: int) -> int:
    """Return into how many clusters so many items fall."""
    return min(_MOST_CLUSTERS, max(min(4, items), items // _ITEMS_PER_CLUSTER))


def _sizes(users: int) -> list[int]:
    return [min(_USERS_AT_ONCE, users - start) for start in range(0, users, _USERS_AT_ONCE)]


def _catalogue(items: int, rng: np.random.Generator) -> Catalogue:
    popularity = (np.arange(items) + _POPULARITY_SHIFT) ** -POPULARITY_EXPONENT
    # Dealt out like cards: every cluster has its share of the popular and of the rare.
    order = np.argsort(np.arange(items) % clusters_of(items), kind="stable")
    sizes = np.bincount(np.arange(items) % clusters_of(items))
    cumulated = np.concatenate([[0.0], np.cumsum(popularity[order])])
    return Catalogue(
        items=rng.permutation(items).astype(np.int32),
        cumulated=cumulated / cumulated[-1],
        first=np.concatenate([[0], np.cumsum(sizes)]),
    )


def _activity(
    users: int, items: int, likes_per_user: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return how many items each user likes: lognormal with this mean, at least 1."""
    mu = np.log(likes_per_user) - _ACTIVITY_SIGMA**2 / 2
    drawn = np.rint(rng.lognormal(mu, _ACTIVITY_SIGMA, users)).astype(np.int64)
    return np.clip(drawn, 1, max(1, items // _LARGEST_SHARE))


def _likes_of(
    activity: NDArray[np.int64], catalogue: Catalogue, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return the number of likes of each user, and the columns liked, row after row."""
    items = len(catalogue.items)
    tastes = _tastes(len(activity), catalogue, rng)
    likes = np.empty(0, np.int64)  # user * items + column, sorted, none twice
    missing = activity
    for _ in range(_DRAWS):
        fans = np.repeat(np.arange(len(activity)), missing)
        if not len(fans):
            break
        liked = catalogue.items[_draw(fans, tastes, catalogue, rng)]
        likes = _distinct(np.concatenate([likes, fans * items + liked]))
        missing = activity - np.bincount(likes // items, minlength=len(activity)).astype(np.int64)
    return activity - missing, (likes % items).astype(np.int32)


def _distinct(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the numbers in order, each once: `np.unique`, which hashes these many times slower."""
    numbers.sort()
    first = np.ones(len(numbers), np.bool_)
    np.not_equal(numbers[1:], numbers[:-1], out=first[1:])
    return numbers[first]


def _tastes(
    users: int, catalogue: Catalogue, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return each user's clusters and their cumulated shares, both (users, tastes).

    Clusters are chosen by the popularity of what is in them.
    """
    ends = catalogue.cumulated[catalogue.first[1:]]
    chosen = np.searchsorted(ends, rng.random((users, _TASTES)), side="right")
    shares = np.cumsum(rng.dirichlet(np.ones(_TASTES), users), axis=1)
    return np.minimum(chosen, len(ends) - 1), shares


def _draw(
    fans: NDArray[np.int64],
    tastes: tuple[NDArray[np.int64], NDArray[np.float64]],
    catalogue: Catalogue,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Return one place in the catalogue for each fan, by taste and popularity."""
    chosen, shares = tastes
    which = (rng.random(len(fans))[:, None] > shares[fans, :-1]).sum(axis=1)
    cluster = chosen[fans, which]
    low = catalogue.cumulated[catalogue.first[cluster]]
    high = catalogue.cumulated[catalogue.first[cluster + 1]]
    anywhere = rng.random(len(fans)) < _OPEN_MINDED
    low[anywhere], high[anywhere] = 0.0, 1.0
    places: NDArray[np.int64] = np.searchsorted(
        catalogue.cumulated, low + (high - low) * rng.random(len(fans)), side="right"
    )
    np.clip(places - 1, 0, len(catalogue.items) - 1, out=places)
    return places
