"""Scattered users on a cluster: marked in their bucket, whose mark every batch of the bucket compares."""

from __future__ import annotations

import secrets
from collections import defaultdict
from typing import TYPE_CHECKING

from likewise.store.keys import hashed
from likewise.store.redis.merging import SCATTER_IN_BUCKET, parse_scattered
from likewise.store.redis.scattering import (
    USERS_A_SCRIPT,
    ScatteredUsers,
    floors,
    in_chunks,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from likewise.messages.ids import UserId
    from likewise.settings import Partitioner
    from likewise.store.cluster_keys import ClusterKeys
    from likewise.store.port import History, Homes, Scattered
    from likewise.store.redis.commands import RedisCommands

MARK = "mark"


class ScatteredInBuckets(ScatteredUsers):
    """See `ScatteredUsers`. The mark of `Homes` consists of the marks of all buckets."""

    def __init__(self, redis: RedisCommands, keys: ClusterKeys) -> None:
        super().__init__(redis, keys)
        self._buckets = keys

    def homes(self, partitioner: Partitioner, partitions: int) -> Homes:
        """See `LikeStore.homes`."""
        homes = super().homes(partitioner, partitions)
        states = [self._buckets.state(bucket) for bucket in range(self._buckets.buckets)]
        found = self._redis.read([("HGET", state, MARK) for state in states])
        return homes._replace(mark=_joined([mark or "" for mark in found]))

    def scattered(
        self, users: Sequence[UserId], partitions: Sequence[int]
    ) -> list[Scattered | None]:
        """See `LikeStore.scattered`."""
        marks = self._redis.read(
            [
                ("HGET", self._buckets.scattered_in(self._buckets.group_of(user)), hashed(user))
                for user in users
            ]
        )
        marked = [user for user, mark in zip(users, marks, strict=True) if mark is not None]
        times = iter(self._times([self._keys.likes(user) for user in marked], partitions))
        return [None if mark is None else parse_scattered(mark, *next(times)) for mark in marks]

    def scatter(self, floors_ms: Mapping[UserId, int], homes: Homes) -> Homes:
        """See `LikeStore.scatter`; a user is marked in one step with the bucket's mark."""
        marks = marks_of(homes, self._buckets.buckets)
        for bucket, users in self._by_bucket(floors_ms).items():
            keys = [self._buckets.scattered_in(bucket), self._buckets.state(bucket)]
            for some in in_chunks(users, USERS_A_SCRIPT):
                marks[bucket] = secrets.token_hex(8)
                arguments = floors((user, floors_ms[user]) for user in some)
                self._redis.run("EVAL", SCATTER_IN_BUCKET, 2, *keys, marks[bucket], *arguments)
        return homes._replace(mark=_joined(marks))

    def catch_up(self, histories: Mapping[UserId, History]) -> None:
        """See `LikeStore.catch_up`."""
        for bucket, users in self._by_bucket(histories).items():
            for some in in_chunks(users, USERS_A_SCRIPT):
                keys = [self._buckets.scattered_in(bucket), self._buckets.changed_in(bucket)]
                pairs = [(user, histories[user]) for user in some]
                self._redis.run(*self._catching_up(keys, pairs))

    def count(self) -> int:
        """See `LikeStore.scattered_count`."""
        keys = [self._buckets.scattered_in(bucket) for bucket in range(self._buckets.buckets)]
        return sum(map(int, self._redis.read([("HLEN", key) for key in keys])))

    def _by_bucket(self, users: Iterable[UserId]) -> dict[int, list[UserId]]:
        found: defaultdict[int, list[UserId]] = defaultdict(list)
        for user in users:
            found[self._buckets.group_of(user)].append(user)
        return found


def marks_of(homes: Homes, buckets: int) -> list[str]:
    """Return the mark of each bucket."""
    return homes.mark.split(",") if homes.mark else [""] * buckets


def _joined(marks: Sequence[str]) -> str:
    """Return the mark of `Homes`: empty if nobody is marked."""
    return ",".join(marks) if any(marks) else ""
