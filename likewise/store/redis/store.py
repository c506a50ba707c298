"""RedisStore: the port `LikeStore` on a Redis server or cluster."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, NoReturn

from redis import RedisCluster
from redis.exceptions import ResponseError

from likewise.errors import (
    ForeignDataError,
    HomesMovedError,
    PositionMovedError,
    TransientError,
)
from likewise.store.keys import Keys
from likewise.store.port import Lookup
from likewise.store.redis.applying import (
    NOWHERE,
    Command,
    Expectation,
    Write,
    apply_script,
    key_of,
    set_writes,
    writes,
)
from likewise.store.redis.bulk_reading import Read, read_all
from likewise.store.redis.connection import Client, address, connect, disconnect
from likewise.store.redis.merging import MERGE
from likewise.store.redis.refusals import FAILURES, refusal
from likewise.store.redis.scattering import ScatteredUsers
from likewise.store.redis.server_state import about, worst

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from likewise.errors import LikewiseError
    from likewise.messages.ids import ItemId, UserId
    from likewise.messages.order import Reach
    from likewise.records import TopicPartition
    from likewise.settings import Partitioner, RedisSettings
    from likewise.store.port import Advance, Changes, Eviction, History, Homes, Scattered

_ACQUIRE = """
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""
_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end"


class RedisStore:
    """Likes and bookkeeping in Redis, under the keys that `likewise.store.keys` names. Thread-safe.

    Connects with the first call, and again by itself after an interruption. On a cluster
    (`redis.cluster`) a batch spans nodes and can't be applied at once: its sets change first, its
    positions last, so that a crash in between makes it be applied again.
    """

    def __init__(self, settings: RedisSettings) -> None:
        """Read the settings; nothing connects yet.

        Raises:
            SettingsError: the URL is none.
        """
        self._settings = settings
        self._keys = Keys(settings.key_prefix, settings.cluster)
        self._address = address(settings)
        self._scattering = ScatteredUsers(self._keys, self._address, self._run, self._pipeline)
        self._client: Client | None = None
        self._connecting = threading.Lock()

    def positions(self, partitions: Sequence[TopicPartition]) -> list[int | None]:
        """See `LikeStore.positions`."""
        replies = self._pipeline(self._position_reads(partitions))
        return self._parsed_positions(partitions, replies)

    def logs(self, partitions: Sequence[TopicPartition]) -> list[str | None]:
        """See `LikeStore.logs`."""
        return self._pipeline([("GET", self._keys.log(*partition)) for partition in partitions])

    def note_logs(self, log: str, partitions: Sequence[TopicPartition]) -> None:
        """See `LikeStore.note_logs`."""
        self._pipeline([("SET", self._keys.log(*partition), log) for partition in partitions])

    def epochs(self, partitions: Sequence[TopicPartition]) -> list[int | None]:
        """See `LikeStore.epochs`; what is no number was not noted by us."""
        noted = self._pipeline([("GET", self._keys.epoch(*partition)) for partition in partitions])
        return [int(epoch) if epoch and epoch.isdecimal() else None for epoch in noted]

    def note_epochs(self, epochs: Mapping[TopicPartition, int]) -> None:
        """See `LikeStore.note_epochs`."""
        self._pipeline([("SET", self._keys.epoch(*p), epoch) for p, epoch in epochs.items()])

    def apply(self, changes: Changes, advances: Mapping[TopicPartition, Advance]) -> None:
        """See `LikeStore.apply`."""
        batch = writes(self._keys, changes)
        homes = [] if changes.homes is None else [self._scattering.stay(changes.homes)]
        if self._settings.cluster:
            self._apply_one_by_one(batch, homes, advances)
        else:
            self._apply_at_once(batch, homes, advances)

    def homes(self, partitioner: Partitioner, partitions: int) -> Homes:
        """See `LikeStore.homes`."""
        return self._scattering.homes(partitioner, partitions)

    def scattered(
        self, users: Sequence[UserId], partitions: Sequence[int]
    ) -> list[Scattered | None]:
        """See `LikeStore.scattered`; two round trips, where any of them is marked."""
        return self._scattering.scattered(users, partitions)

    def scatter(self, floors_ms: Mapping[UserId, int], homes: Homes) -> Homes:
        """See `LikeStore.scatter`."""
        return self._scattering.scatter(floors_ms, homes)

    def catch_up(self, histories: Mapping[UserId, History]) -> None:
        """See `LikeStore.catch_up`."""
        self._scattering.catch_up(histories)

    def catalogue_reach(self, partitions: Sequence[int]) -> dict[int, Reach]:
        """See `LikeStore.catalogue_reach`."""
        return self._scattering.reaches([self._keys.retired], partitions)[0]

    def scattered_count(self) -> int:
        """See `LikeStore.scattered_count`."""
        return int(self._run("HLEN", self._keys.scattered))

    def likes(self, users: Sequence[UserId]) -> list[set[ItemId]]:
        """See `LikeStore.likes`."""
        return self._pipeline(self._likes_reads(users))

    def liked_items(self, users: Sequence[UserId]) -> Sequence[Collection[ItemId]]:
        """See `LikeStore.liked_items`; on a cluster it is `likes`."""
        return self._read(self._likes_reads(users))

    def lookup(self, users: Sequence[UserId], partitions: Sequence[TopicPartition]) -> Lookup:
        """See `LikeStore.lookup`; two round trips on a cluster, whose nodes keep no order."""
        first = self._position_reads(partitions)
        second = self._likes_reads(users)
        second += [("GET", self._keys.retired_version), ("GET", self._keys.model)]
        if self._settings.cluster:
            replies = self._pipeline(first) + self._pipeline(second)
        else:
            replies = self._read(first + second)
        *rest, retired_version, announcement = replies
        return Lookup(
            positions=self._parsed_positions(partitions, rest[: len(partitions)]),
            likes=rest[len(partitions) :],
            retired_version=int(retired_version or 0),
            model_announcement=_bytes(announcement),
        )

    def retired(self) -> tuple[int, set[ItemId]]:
        """See `LikeStore.retired`."""
        version = self._run("GET", self._keys.retired_version)
        return int(version or 0), self._run("SMEMBERS", self._keys.retired)

    def scan_users(self, chunk: int) -> Iterator[list[UserId]]:
        """See `LikeStore.scan_users`."""
        scan = {"match": self._keys.likes_pattern, "count": chunk, "_type": "set"}
        for client in self._primaries():
            cursor = -1
            while cursor != 0:
                try:
                    cursor, found = client.scan(cursor=max(cursor, 0), **scan)
                except FAILURES as error:
                    raise self._failure(error) from error
                if found:
                    yield [self._keys.user_of(key) for key in found]

    def count_likes(self, users: Sequence[UserId]) -> int:
        """See `LikeStore.count_likes`."""
        return sum(self._pipeline([("SCARD", self._keys.likes(user_id)) for user_id in users]))

    def changed_count(self) -> int:
        """See `LikeStore.changed_count`."""
        return int(self._run("SCARD", self._keys.changed))

    def take_changed(self, limit: int) -> list[UserId]:
        """See `LikeStore.take_changed`."""
        return list(self._run("SPOP", self._keys.changed, limit))

    def mark_changed(self, users: Iterable[UserId]) -> None:
        """See `LikeStore.mark_changed`."""
        for command, key, members, _ in set_writes("SADD", self._keys.changed, set(users)):
            self._run(command, key, *members)

    def announce_model(self, announcement: bytes) -> None:
        """See `LikeStore.announce_model`."""
        self._run("SET", self._keys.model, announcement)

    def model_announcement(self) -> bytes | None:
        """See `LikeStore.model_announcement`."""
        return _bytes(self._run("GET", self._keys.model))

    def acquire_lease(self, name: str, holder: str, ttl_ms: int) -> bool:
        """See `LikeStore.acquire_lease`."""
        return bool(self._run("EVAL", _ACQUIRE, 1, self._keys.lease(name), holder, ttl_ms))

    def release_lease(self, name: str, holder: str) -> None:
        """See `LikeStore.release_lease`."""
        self._run("EVAL", _RELEASE, 1, self._keys.lease(name), holder)

    def eviction(self) -> Eviction:
        """See `LikeStore.eviction`."""
        answers = []
        for client in self._primaries():
            try:
                answers.append(about(client))
            except FAILURES as error:
                raise self._failure(error) from error
        if any(answer.is_replica for answer in answers):
            self._reconnect()
        return worst(answers)

    def ping(self) -> None:
        """See `LikeStore.ping`."""
        self._run("PING")

    def close(self) -> None:
        """See `LikeStore.close`; a later call connects again."""
        with self._connecting:
            if self._client is not None:
                self._client.close()
                self._client = None

    def _apply_at_once(
        self,
        batch: Iterable[Write],
        homes: Sequence[Expectation],
        advances: Mapping[TopicPartition, Advance],
    ) -> None:
        positions = [
            Expectation(
                self._keys.position(*partition),
                NOWHERE if step.expected is None else step.expected,
                step.next,
            )
            for partition, step in advances.items()
        ]
        stored = self._run(*apply_script([*positions, *homes], batch))
        if stored:
            found = self._parsed_positions(list(advances), stored[: len(positions)])
            self._raise_moved(dict(zip(advances, found, strict=True)), advances)

    def _apply_one_by_one(
        self,
        batch: Iterable[Write],
        homes: Sequence[Expectation],
        advances: Mapping[TopicPartition, Advance],
    ) -> None:
        self._check_positions(advances)
        self._check_homes(homes)
        self._pipeline([self._command(write) for write in batch])
        self._check_homes(homes)
        for partition, advance in advances.items():
            if advance.next != advance.expected:
                self._apply_at_once([], [], {partition: advance})

    def _command(self, write: Write) -> Command:
        if write.times is None:
            return (write.command, write.key, *write.members)
        return ("EVAL", MERGE, 2, write.key, write.times, *write.members)

    def _check_positions(self, advances: Mapping[TopicPartition, Advance]) -> None:
        stored = dict(zip(advances, self.positions(list(advances)), strict=True))
        if any(stored[partition] != step.expected for partition, step in advances.items()):
            raise PositionMovedError(stored)

    def _check_homes(self, homes: Sequence[Expectation]) -> None:
        if any(self._run("GET", one.key) != one.expected for one in homes):
            raise HomesMovedError("users were marked as scattered meanwhile")

    def _raise_moved(
        self, found: dict[TopicPartition, int | None], advances: Mapping[TopicPartition, Advance]
    ) -> NoReturn:
        if all(found[partition] == step.expected for partition, step in advances.items()):
            raise HomesMovedError("users were marked as scattered meanwhile")
        raise PositionMovedError(found)

    def _position_reads(self, partitions: Sequence[TopicPartition]) -> list[Read]:
        return [("GET", self._keys.position(*partition)) for partition in partitions]

    def _likes_reads(self, users: Sequence[UserId]) -> list[Read]:
        return [("SMEMBERS", self._keys.likes(user_id)) for user_id in users]

    def _parsed_positions(
        self, partitions: Sequence[TopicPartition], stored: Sequence[str | None]
    ) -> list[int | None]:
        try:
            return [int(at) if at else None for at in stored]
        except ValueError as error:
            names = ", ".join(self._keys.position(*partition) for partition in partitions)
            raise ForeignDataError(
                f"Redis at {self._address}: one of the keys {names} holds no log position; "
                "remove it, and the log is read again from its beginning"
            ) from error

    def _run(self, *command: str | bytes | int) -> Any:
        try:
            return self._connected().execute_command(*command)
        except FAILURES as error:
            key = key_of(command, str(error)) if len(command) > 1 else None
            raise self._failure(error, key) from error

    def _pipeline(self, commands: Sequence[Command]) -> list[Any]:
        """Return the replies to independent commands, sent together, in their order."""
        if not commands:
            return []
        try:
            with self._connected().pipeline(transaction=False) as pipeline:
                for command in commands:
                    pipeline.execute_command(*command)
                replies: list[Any] = pipeline.execute(raise_on_error=False)
        except FAILURES as error:
            raise self._failure(error) from error
        for command, reply in zip(commands, replies, strict=True):
            if isinstance(reply, Exception):
                raise self._failure(reply, str(command[1])) from reply
        return replies

    def _read(self, reads: Sequence[Read]) -> list[Any]:
        """Return what `_pipeline` does, sooner, and with lists in place of sets on one server."""
        client = self._connected()
        if not reads or isinstance(client, RedisCluster):
            return self._pipeline(reads)
        try:
            return read_all(client, reads)
        except ResponseError:
            return self._pipeline(reads)  # which says what is wrong, with the key
        except FAILURES as error:
            raise self._failure(error) from error

    def _primaries(self) -> list[Any]:
        client = self._connected()
        if isinstance(client, RedisCluster):
            nodes = client.get_primaries()  # type: ignore[no-untyped-call]  # redis-py left it out
            return [client.get_redis_connection(node) for node in nodes]
        return [client]

    def _failure(self, error: Exception, key: str | None = None) -> LikewiseError:
        """Return the error to raise; after one that may pass, the next call connects again.

        Connections outlive a failover behind the same name: a server that was demoted goes on
        refusing writes over them, while the name leads to the new primary.
        """
        made = refusal(error, self._address, key)
        if isinstance(made, TransientError):
            self._reconnect()
        return made

    def _reconnect(self) -> None:
        with self._connecting:
            client, self._client = self._client, None
        if client is not None:
            disconnect(client)

    def _connected(self) -> Any:
        with self._connecting:
            if self._client is None:
                try:
                    self._client = connect(self._settings)
                except FAILURES as error:
                    raise refusal(error, self._address) from error
            return self._client


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else text.encode()
