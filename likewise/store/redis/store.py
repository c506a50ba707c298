"""RedisStore: the port `LikeStore` on a Redis server or cluster."""

from __future__ import annotations

import threading
from functools import cached_property
from typing import TYPE_CHECKING

from likewise.store.cluster_keys import ClusterKeys, keys_of
from likewise.store.port import Lookup
from likewise.store.redis.attribution import RedisAttribution
from likewise.store.redis.catalogue import RedisCatalogue
from likewise.store.redis.changed import ChangedUsers
from likewise.store.redis.experiments import RedisExperiments
from likewise.store.redis.positions import Positions
from likewise.store.redis.recent import RedisRecent
from likewise.store.redis.scattering import ScatteredUsers
from likewise.store.redis.server_state import worst
from likewise.store.redis.shown import RedisShown
from likewise.store.redis.signals import RedisSignals, by_user, signal_reads

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from likewise.messages.ids import ItemId, SignalKind, UserId
    from likewise.messages.order import Reach
    from likewise.records import TopicPartition
    from likewise.settings import Partitioner, RedisSettings
    from likewise.store.bucket_port import Ahead, Extent, Move, Moved
    from likewise.store.port import Advance, Changes, Eviction, History, Homes, Scattered
    from likewise.store.redis.bulk_reading import Read
    from likewise.store.redis.cluster.positions import BucketPositions
    from likewise.store.redis.commands import RedisCommands

_ACQUIRE = """
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""
_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end"


class RedisStore(
    RedisAttribution, RedisCatalogue, RedisExperiments, RedisRecent, RedisShown, RedisSignals
):
    """Likes and bookkeeping in Redis, under the keys that `likewise.store.keys` names. Thread-safe.

    Connects with the first call, and again after an interruption. On a cluster (`redis.cluster`) each
    bucket of users is applied on its own; see `likewise.store.redis.cluster`.
    """

    def __init__(self, settings: RedisSettings, *, lazy: bool = False) -> None:
        """Check the settings; nothing connects yet.

        With `lazy` the first call checks them, and imports the client library, which takes 0.1 s.

        Raises:
            SettingsError: the settings cannot be used.
        """
        self._settings = settings
        self._keys = keys_of(settings)
        self._commands: RedisCommands | None = None
        self._importing = threading.Lock()
        if not lazy:
            self._commands = self._redis

    @property
    def _redis(self) -> RedisCommands:
        if self._commands is None:
            with self._importing:
                from likewise.store.redis.commands import RedisCommands

                self._commands = self._commands or RedisCommands(self._settings)
        return self._commands

    @cached_property
    def _positions(self) -> Positions | BucketPositions:
        if isinstance(self._keys, ClusterKeys):
            from likewise.store.redis.cluster.positions import BucketPositions

            return BucketPositions(self._redis, self._keys)
        return Positions(self._redis, self._keys)

    @cached_property
    def _scattered(self) -> ScatteredUsers:
        if isinstance(self._keys, ClusterKeys):
            from likewise.store.redis.cluster.scattering import ScatteredInBuckets

            return ScatteredInBuckets(self._redis, self._keys)
        return ScatteredUsers(self._redis, self._keys)

    @property
    def _changed(self) -> ChangedUsers:
        return ChangedUsers(self._redis, self._keys)

    def positions(self, partitions: Sequence[TopicPartition]) -> list[int | None]:
        """See `LikeStore.positions`."""
        return self._positions.get(partitions)

    def logs(self, partitions: Sequence[TopicPartition]) -> list[str | None]:
        """See `LikeStore.logs`."""
        return self._redis.pipeline(
            [("GET", self._keys.log(*partition)) for partition in partitions]
        )

    def note_logs(self, log: str, partitions: Sequence[TopicPartition]) -> None:
        """See `LikeStore.note_logs`."""
        self._redis.pipeline([("SET", self._keys.log(*partition), log) for partition in partitions])

    def epochs(self, partitions: Sequence[TopicPartition]) -> list[int | None]:
        """See `LikeStore.epochs`; a value that is not a number counts as not noted."""
        noted = self._redis.pipeline(
            [("GET", self._keys.epoch(*partition)) for partition in partitions]
        )
        return [int(epoch) if epoch and epoch.isdecimal() else None for epoch in noted]

    def note_epochs(self, epochs: Mapping[TopicPartition, int]) -> None:
        """See `LikeStore.note_epochs`."""
        self._redis.pipeline([("SET", self._keys.epoch(*p), epoch) for p, epoch in epochs.items()])

    def apply(self, changes: Changes, advances: Mapping[TopicPartition, Advance]) -> None:
        """See `LikeStore.apply`."""
        self._positions.apply(changes, advances)

    def extents(
        self, partitions: Sequence[TopicPartition], *, resume: bool = False
    ) -> list[Extent]:
        """See `LikeStore.extents`."""
        return self._positions.extents(partitions, resume=resume)

    def resume_at(self, advances: Mapping[TopicPartition, Advance], *, rewind: bool) -> None:
        """See `LikeStore.resume_at`."""
        self._positions.resume_at(advances, rewind=rewind)

    def level(self, positions: Mapping[TopicPartition, int]) -> None:
        """See `LikeStore.level`."""
        self._positions.level(positions)

    def ahead(self, partitions: Collection[TopicPartition]) -> Ahead | None:
        """See `LikeStore.ahead`."""
        return self._positions.ahead(partitions)

    def moved(self, moves: Sequence[Move]) -> list[Moved | None]:
        """See `LikeStore.moved`."""
        return self._positions.moved(moves)

    def homes(self, partitioner: Partitioner, partitions: int) -> Homes:
        """See `LikeStore.homes`."""
        return self._scattered.homes(partitioner, partitions)

    def stored_homes(self) -> Homes | None:
        """See `LikeStore.stored_homes`."""
        return self._scattered.stored_homes()

    def scattered(
        self, users: Sequence[UserId], partitions: Sequence[int]
    ) -> list[Scattered | None]:
        """See `LikeStore.scattered`; two round trips, where any of them is marked."""
        return self._scattered.scattered(users, partitions)

    def scatter(self, floors_ms: Mapping[UserId, int], homes: Homes) -> Homes:
        """See `LikeStore.scatter`."""
        return self._scattered.scatter(floors_ms, homes)

    def catch_up(self, histories: Mapping[UserId, History]) -> None:
        """See `LikeStore.catch_up`."""
        self._scattered.catch_up(histories)

    def catalogue_reach(self, partitions: Sequence[int]) -> dict[int, Reach]:
        """See `LikeStore.catalogue_reach`."""
        return self._scattered.reaches([self._keys.retired], partitions)[0]

    def scattered_count(self) -> int:
        """See `LikeStore.scattered_count`."""
        return self._scattered.count()

    def likes(self, users: Sequence[UserId]) -> list[set[ItemId]]:
        """See `LikeStore.likes`."""
        return self._redis.pipeline(self._likes_reads(users))

    def liked_items(self, users: Sequence[UserId]) -> Sequence[Collection[ItemId]]:
        """See `LikeStore.liked_items`."""
        return self._redis.read(self._likes_reads(users))

    def lookup(
        self,
        users: Sequence[UserId],
        partitions: Sequence[TopicPartition],
        kinds: Collection[SignalKind] = (),
    ) -> Lookup:
        """See `LikeStore.lookup`: a user's positions are read before the sets, from the same server."""
        reads = self._positions.reads(partitions)
        of_users = self._positions.user_reads(users, partitions)
        reads = reads + of_users + self._likes_reads(users) + signal_reads(self._keys, users, kinds)
        reads += [
            ("SMEMBERS", self._keys.kinds),
            ("GET", self._keys.retired_version),
            ("GET", self._keys.model),
        ]
        *rest, kinds_in_use, retired_version, announcement = self._redis.read(reads)
        first = len(partitions)
        then = first + len(of_users)
        last = then + len(users)
        return Lookup(
            positions=self._positions.parse(partitions, rest[:first]),
            user_positions=tuple(
                self._positions.parse(partitions, one) for one in rest[first:then]
            ),
            likes=rest[then:last],
            retired_version=int(retired_version or 0),
            model_announcement=_bytes(announcement),
            kinds=frozenset(kinds_in_use),
            signals=by_user(rest[last:], users, kinds) if kinds else (),
        )

    def retired(self) -> tuple[int, set[ItemId]]:
        """See `LikeStore.retired`."""
        version = self._redis.run("GET", self._keys.retired_version)
        return int(version or 0), self._redis.run("SMEMBERS", self._keys.retired)

    def scan_users(self, chunk: int) -> Iterator[list[UserId]]:
        """See `LikeStore.scan_users`."""
        for found in self._redis.scan_sets(self._keys.likes_pattern, chunk):
            yield [self._keys.user_of(key) for key in found]

    def count_likes(self, users: Sequence[UserId]) -> int:
        """See `LikeStore.count_likes`."""
        return sum(
            self._redis.pipeline([("SCARD", self._keys.likes(user_id)) for user_id in users])
        )

    def changed_count(self) -> int:
        """See `LikeStore.changed_count`."""
        return self._changed.count()

    def take_changed(self, limit: int) -> list[UserId]:
        """See `LikeStore.take_changed`."""
        return self._changed.take(limit)

    def mark_changed(self, users: Iterable[UserId]) -> None:
        """See `LikeStore.mark_changed`."""
        self._changed.mark(users)

    def announce_model(self, announcement: bytes) -> None:
        """See `LikeStore.announce_model`."""
        self._redis.run("SET", self._keys.model, announcement)

    def model_announcement(self) -> bytes | None:
        """See `LikeStore.model_announcement`."""
        return _bytes(self._redis.run("GET", self._keys.model))

    def acquire_lease(self, name: str, holder: str, ttl_ms: int) -> bool:
        """See `LikeStore.acquire_lease`."""
        return bool(self._redis.run("EVAL", _ACQUIRE, 1, self._keys.lease(name), holder, ttl_ms))

    def release_lease(self, name: str, holder: str) -> None:
        """See `LikeStore.release_lease`."""
        self._redis.run("EVAL", _RELEASE, 1, self._keys.lease(name), holder)

    def eviction(self) -> Eviction:
        """See `LikeStore.eviction`."""
        return worst(self._redis.server_states())

    def ping(self) -> None:
        """See `LikeStore.ping`."""
        self._redis.run("PING")

    def close(self) -> None:
        """See `LikeStore.close`; a later call connects again."""
        if self._commands is not None:
            self._commands.close()

    def _likes_reads(self, users: Sequence[UserId]) -> list[Read]:
        return [("SMEMBERS", self._keys.likes(user_id)) for user_id in users]


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else text.encode()
