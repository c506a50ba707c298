"""Reads what users like from the store, together with their weighted signals.

A like weighs 1; the other kinds have the weights of the settings `[signals]`. A pair of a user and an item has
the largest weight of its kinds: someone who views an item and then buys it has bought it, and no more.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from indexer.interactions import UserLikes
from likewise.messages.ids import SignalKind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from likewise.messages.ids import ItemId, UserId
    from likewise.settings import Settings
    from likewise.store.port import LikeStore
    from likewise.store.signals_port import SignalsOfUser


def weights_of(settings: Settings) -> Mapping[SignalKind, float]:
    """Return the weight of each kind of signal in the settings; likes, which weigh 1, are not among them."""
    return {SignalKind(kind): weight for kind, weight in settings.signals.weights.items()}


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads users from the store. Without weights, it reads likes and makes no further call."""

    store: LikeStore
    weights: Mapping[SignalKind, float] = field(default_factory=dict)
    """The positive weights of the kinds to read."""

    def read(self, users: Sequence[UserId]) -> UserLikes:
        """Return what these users like, and the items of their other signals, with weights."""
        likes = self.store.liked_items(users)
        if not self.weights:
            return UserLikes(users, likes)
        return weighed(users, likes, self.store.signals(users, list(self.weights)), self.weights)

    def read_all(self, chunk: int) -> Iterator[UserLikes]:
        """Yield every user with a like or a signal of these kinds, once, about `chunk` at a time."""
        for users in every_user(self.store, self.weights, chunk):
            yield self.read(users)


def reader(store: LikeStore, weights: Mapping[SignalKind, float]) -> Reader:
    """Return a reader of the kinds that have a positive weight and are in use.

    Asks the store for the kinds in use only if any has such a weight. A snapshot asks after it has taken the
    marks of changed users: the signals of these users are then of kinds that this reads.

    Raises:
        TransientError: the store cannot be reached.
    """
    positive = {kind: weight for kind, weight in sorted(weights.items()) if weight > 0}
    if not positive:
        return Reader(store)
    in_use = store.kinds()
    return Reader(store, {kind: weight for kind, weight in positive.items() if kind in in_use})


def weighed(
    users: Sequence[UserId],
    likes: Sequence[Collection[ItemId]],
    signals: Sequence[SignalsOfUser],
    weights: Mapping[SignalKind, float],
) -> UserLikes:
    """Return each user's items, each with the largest weight of the user's signals for it.

    `likes` and `signals` are aligned with `users`.
    """
    lighter, heavier = (
        [kind for kind in sorted(weights, key=weights.__getitem__) if (weights[kind] > 1) is above]
        for above in (False, True)
    )
    merged: list[dict[ItemId, float]] = []
    for liked, theirs in zip(likes, signals, strict=True):
        by_item: dict[ItemId, float] = {}
        # From the smallest weight to the largest, which replaces the others.
        for kind in lighter:
            by_item.update(dict.fromkeys(theirs.get(kind, ()), weights[kind]))
        by_item.update(dict.fromkeys(liked, 1.0))
        for kind in heavier:
            by_item.update(dict.fromkeys(theirs.get(kind, ()), weights[kind]))
        merged.append(by_item)
    values = chain.from_iterable(by_item.values() for by_item in merged)
    return UserLikes(users, merged, np.fromiter(values, np.float32, sum(map(len, merged))))


def every_user(
    store: LikeStore, kinds: Collection[SignalKind], chunk: int
) -> Iterator[list[UserId]]:
    """Yield every user with a like or a signal of these kinds, once, about `chunk` at a time."""
    seen: set[UserId] = set()
    scans = [store.scan_users(chunk), *(store.scan_users_of(kind, chunk) for kind in kinds)]
    # A scan may return a user twice, and several scans return most users.
    for users in chain.from_iterable(scans):
        new = list(dict.fromkeys(user for user in users if user not in seen))
        seen.update(new)
        if new:
            yield new
