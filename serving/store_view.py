"""Reads what a batch of requests needs from the store, in one round trip."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING

from likewise.errors import ForeignDataError, SettingsError
from likewise.records import TopicPartition
from likewise.service.logs import get_logger
from likewise.store.shown_port import Viewer
from serving.taste import NEVER_SHOWN
from serving.trending import TrendingItems

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from likewise.log.topic_listing import TopicListing
    from likewise.messages.ids import ItemId, SignalKind, UserId
    from likewise.store.port import LikeStore, Lookup
    from likewise.store.shown_port import ShownList
    from likewise.store.signals_port import SignalsOfUser
    from serving.incoming import OpenRequest, RecordId
    from serving.walks import Walk


_SHOWN_PER_LIKE = 4
"""How many items that were shown cost as much as one like."""


@dataclass(frozen=True, slots=True)
class BatchContext:
    """What the store held for one batch of requests.

    A user who is not in `likes` has a key in Redis that likewise did not write. `positions` is how
    far each partition of the likes topic is applied, by partition number; the likes are at least
    as new. The broker was asked `partitions_age_ms` ago which partitions there are.
    """

    likes: Mapping[UserId, Collection[ItemId]]
    positions: Sequence[int | None]
    retired: Collection[ItemId]
    announcement: bytes | None
    partitions_age_ms: float = 0.0
    signals: Mapping[UserId, SignalsOfUser] = field(default_factory=dict)
    """The signals that count, of the users who have any."""
    shown: Mapping[Viewer, Sequence[ShownList]] = field(default_factory=dict)
    """What the viewers were shown whose requests ask for it."""
    walks: Mapping[RecordId, Walk] = field(default_factory=dict)
    """The pages before, of the requests with `next_of` whose pages are all known."""
    user_positions: Mapping[UserId, Sequence[int | None]] = field(default_factory=dict)
    """The same as `positions` for each user, on a Redis Cluster alone: no other data of a user counts."""
    trending: Sequence[tuple[ItemId, float]] = ()
    """The items with the most recent likes, if a request asks for them."""

    def signals_of(self, user_id: UserId | None) -> SignalsOfUser | None:
        """Return the user's signals by kind; None without any."""
        return self.signals.get(user_id) if self.signals and user_id is not None else None

    def n_likes(self, user_id: UserId | None) -> int | None:
        """Return how many items the user likes; None without a user."""
        return None if user_id is None else len(self.likes.get(user_id, ()))

    def walk_of(self, asked: OpenRequest) -> Walk | None:
        """Return the pages before the one that the request asks for; None if it asks for none."""
        return self.walks.get(asked.record_id) if self.walks else None

    def n_more(self, asked: OpenRequest) -> float:
        """Return how many items were read for a request besides likes, weighted by their cost."""
        if not (self.signals or self.shown):
            return 0.0
        request = asked.request
        n_items = float(sum(map(len, (self.signals_of(request.user_id) or {}).values())))
        if (walk := self.walk_of(asked)) is not None:
            n_items += walk.n_items
        if request.rotation and request.user_id is not None:
            lists = self.shown.get(Viewer("user", request.user_id), ())
            n_items += sum(len(one.items) for one in lists) / _SHOWN_PER_LIKE
        return n_items


class StoreView:
    """Reads the store for batches. Caches the retired items until they change."""

    def __init__(
        self,
        store: LikeStore,
        listing: TopicListing,
        likes_topic: str,
        kinds: Collection[SignalKind] = NEVER_SHOWN,
    ) -> None:
        """`kinds` are those of signals that count; those in use are read."""
        self._store = store
        self._listing = listing
        self._likes_topic = likes_topic
        self._kinds = frozenset(kinds)
        self._kinds_in_use: frozenset[SignalKind] = frozenset()
        self._trending = TrendingItems(store)
        self._retired_version: int | None = None
        self._retired: Collection[ItemId] = frozenset()
        self._named = 1
        self._partitions_age_s = inf

    @property
    def current(self) -> LikeStore:
        """The store itself, for what is not read with a batch."""
        return self._store

    @property
    def kinds_in_use(self) -> frozenset[SignalKind]:
        """The kinds of signals that count and were used, as of the last look-up."""
        return self._kinds_in_use

    def look_up(self, users: Collection[UserId], partitions: int = 1) -> BatchContext:
        """Return what the store holds for the users now.

        If the likes topic is known to have fewer than so many `partitions`, the broker is asked
        again, at most once a second.

        Raises:
            TransientError: the store or the broker cannot be reached. Calling again is safe.
            ForeignDataError: likewise did not write a key that concerns more than one user.
        """
        wanted = sorted(set(users))
        known = self._partitions(partitions)
        try:
            lookup = self._store.lookup(wanted, known, self._kinds_in_use)
            likes = dict(zip(wanted, lookup.likes, strict=True))
            signals = self._signals(wanted, lookup)
        except ForeignDataError as error:
            get_logger().error("likewise did not write a user's key", reason=str(error))
            lookup, likes, signals = self._one_by_one(wanted, known)
        if lookup.retired_version != self._retired_version:
            self._retired_version, self._retired = self._store.retired()
        return BatchContext(
            likes,
            lookup.positions,
            self._retired,
            lookup.model_announcement,
            partitions_age_ms=1000 * self._partitions_age_s,
            signals=signals,
            user_positions=dict(zip(wanted, lookup.user_positions, strict=False)),
        )

    def shown(self, viewers: Collection[Viewer]) -> Mapping[Viewer, Sequence[ShownList]]:
        """Return what the viewers were shown, newest list first.

        Nothing if the store does not let this server read it: what else it answers must go on.

        Raises:
            TransientError: the store cannot be reached. Calling again is safe.
        """
        wanted = sorted(set(viewers))
        try:
            return dict(zip(wanted, self._store.shown(wanted), strict=True))
        except SettingsError as error:
            get_logger().error("what was shown cannot be read", reason=str(error))
            return {}

    def items(self, ids: Sequence[ItemId]) -> Sequence[bytes | None]:
        """Return the items of the catalogue as they are stored; None for those that it does not have.

        None for all if the store does not let this server read them.

        Raises:
            TransientError: the store cannot be reached. Calling again is safe.
        """
        try:
            return self._store.catalogue_get(ids)
        except (ForeignDataError, SettingsError) as error:
            get_logger().error("the catalogue cannot be read", reason=str(error))
            return [None] * len(ids)

    def trending(self, now_ms: int) -> Sequence[tuple[ItemId, float]]:
        """Return the items with the most recent likes; see `TrendingItems.items`."""
        return self._trending.items(now_ms)

    def _partitions(self, named: int) -> list[TopicPartition]:
        """Return the partitions of the likes topic.

        A request may name one that is not known before the broker may be asked again. Until then
        each look-up asks for that one.
        """
        self._named = max(self._named, named)
        size = self._listing.size(self._likes_topic, at_least=self._named)
        age_s = self._listing.age_s()
        if age_s <= self._partitions_age_s:
            self._named = 1
        self._partitions_age_s = age_s
        return [TopicPartition(self._likes_topic, number) for number in range(size)]

    def _one_by_one(
        self, users: Sequence[UserId], partitions: Sequence[TopicPartition]
    ) -> tuple[Lookup, dict[UserId, Collection[ItemId]], dict[UserId, SignalsOfUser]]:
        """Return what can be read: one bad key must not cost the other users their answers."""
        lookup = self._store.lookup([], partitions)  # positions before likes, as in one round trip
        likes: dict[UserId, Collection[ItemId]] = {}
        signals: dict[UserId, SignalsOfUser] = {}
        for user_id in users:
            with suppress(ForeignDataError):
                [found] = self._store.likes([user_id])
                [signals[user_id]] = self._store.signals([user_id], self._kinds_in_use)
                likes[user_id] = found
        return lookup, likes, signals

    def _signals(self, users: Sequence[UserId], lookup: Lookup) -> dict[UserId, SignalsOfUser]:
        """Return the signals of users who have any. Reads them again when a kind is first used."""
        found = lookup.signals
        in_use = lookup.kinds & self._kinds
        if in_use != self._kinds_in_use:
            self._kinds_in_use = in_use
            found = self._store.signals(users, in_use)
        return {user: signals for user, signals in zip(users, found, strict=False) if signals}
