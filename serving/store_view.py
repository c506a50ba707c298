"""What a batch of requests needs from the store, in one round trip."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from likewise.errors import ForeignDataError
from likewise.service.logs import get_logger
from likewise.service.store_watch import StoreKeeping, StoreWatch

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from likewise.messages.ids import ItemId, UserId
    from likewise.records import TopicPartition
    from likewise.store.port import LikeStore, Lookup
    from serving.known_topics import KnownTopics


@dataclass(frozen=True, slots=True)
class BatchContext:
    """What the store said of the users of one batch.

    A user who is not in `likes` has a key in Redis that likewise did not write. `positions` says
    how far each partition of the likes topic is applied, by partition number; the likes are at
    least as new. Which partitions there are was asked of the broker `partitions_age_ms` ago.
    """

    likes: Mapping[UserId, Collection[ItemId]]
    positions: Sequence[int | None]
    retired: Collection[ItemId]
    announcement: bytes | None
    partitions_age_ms: float = 0.0

    def n_likes(self, user_id: UserId | None) -> int | None:
        """Return how many items the user likes; None where no user is asked about."""
        return None if user_id is None else len(self.likes.get(user_id, ()))


class StoreView:
    """Reads the store for batches; keeps the retired items until they change."""

    def __init__(self, store: LikeStore, known_topics: KnownTopics, likes_topic: str) -> None:
        self.watch = StoreWatch(store, StoreKeeping())
        self._store = store
        self._known_topics = known_topics
        self._likes_topic = likes_topic
        self._retired_version: int | None = None
        self._retired: Collection[ItemId] = frozenset()
        self._named = 1
        self._partitions_age_s = inf

    def look_up(self, users: Collection[UserId], partitions: int = 1) -> BatchContext:
        """Return what the store knows now; each user's likes stand under that user alone.

        Where the likes topic is known to have fewer than so many `partitions`, the broker is asked
        again, at most once a second.

        Raises:
            TransientError: the store or the broker is out of reach; calling again is safe.
            ForeignDataError: a key that concerns more than one user is not likewise's.
        """
        wanted = sorted(set(users))
        known = self._partitions(partitions)
        try:
            lookup = self._store.lookup(wanted, known)
            likes = dict(zip(wanted, lookup.likes, strict=True))
        except ForeignDataError as error:
            get_logger().error("a user's key is not likewise's", reason=str(error))
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

    def _partitions(self, named: int) -> list[TopicPartition]:
        """Return the partitions of the likes topic.

        Whoever names one that is not known waits for the broker to be asked again, which may not be
        just yet: until then that partition is asked for with each look-up.
        """
        self._named = max(self._named, named)
        known = self._known_topics.partitions(self._likes_topic, at_least=self._named)
        age_s = self._known_topics.age_s()
        if age_s <= self._partitions_age_s:
            self._named = 1
        self._partitions_age_s = age_s
        return known

    def _one_by_one(
        self, users: Sequence[UserId], partitions: Sequence[TopicPartition]
    ) -> tuple[Lookup, dict[UserId, Collection[ItemId]]]:
        """Return all that can be read: one bad key must not cost the other users their answers."""
        lookup = self._store.lookup([], partitions)  # the positions before the likes, as ever
        likes: dict[UserId, Collection[ItemId]] = {}
        for user_id in users:
            with suppress(ForeignDataError):
                [likes[user_id]] = self._store.likes([user_id])
        return lookup, likes
