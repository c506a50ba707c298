"""Reads what a batch of requests needs from the store, in one round trip."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING

from likewise.errors import ForeignDataError, SettingsError
from likewise.records import TopicPartition
from likewise.service.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from likewise.log.topic_listing import TopicListing
    from likewise.messages.ids import ItemId, UserId
    from likewise.store.port import LikeStore, Lookup
    from likewise.store.shown_port import ShownList, Viewer
    from serving.incoming import RecordId
    from serving.walks import Walk


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
    shown: Mapping[Viewer, Sequence[ShownList]] = field(default_factory=dict)
    """What the viewers were shown whose requests ask for it."""
    walks: Mapping[RecordId, Walk] = field(default_factory=dict)
    """The pages before, of the requests with `next_of` whose pages are all known."""

    def n_likes(self, user_id: UserId | None) -> int | None:
        """Return how many items the user likes; None without a user."""
        return None if user_id is None else len(self.likes.get(user_id, ()))


class StoreView:
    """Reads the store for batches. Caches the retired items until they change."""

    def __init__(self, store: LikeStore, listing: TopicListing, likes_topic: str) -> None:
        self._store = store
        self._listing = listing
        self._likes_topic = likes_topic
        self._retired_version: int | None = None
        self._retired: Collection[ItemId] = frozenset()
        self._named = 1
        self._partitions_age_s = inf

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
            lookup = self._store.lookup(wanted, known)
            likes = dict(zip(wanted, lookup.likes, strict=True))
        except ForeignDataError as error:
            get_logger().error("likewise did not write a user's key", reason=str(error))
            lookup, likes = self._one_by_one(wanted, known)
        if lookup.retired_version != self._retired_version:
            self._retired_version, self._retired = self._store.retired()
        return BatchContext(
            likes,
            lookup.positions,
            self._retired,
            lookup.model_announcement,
            partitions_age_ms=1000 * self._partitions_age_s,
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
    ) -> tuple[Lookup, dict[UserId, Collection[ItemId]]]:
        """Return what can be read: one bad key must not cost the other users their answers."""
        lookup = self._store.lookup([], partitions)  # positions before likes, as in one round trip
        likes: dict[UserId, Collection[ItemId]] = {}
        for user_id in users:
            with suppress(ForeignDataError):
                [likes[user_id]] = self._store.likes([user_id])
        return lookup, likes
