"""The users who changed since the indexer last took them: one SET, or one for each bucket."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from likewise.store.cluster_keys import ClusterKeys
from likewise.store.redis.applying import set_writes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from likewise.messages.ids import UserId
    from likewise.store.keys import Keys
    from likewise.store.redis.commands import RedisCommands


class ChangedUsers:
    """See `LikeStore.changed_count` and the methods after it."""

    def __init__(self, redis: RedisCommands, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    def count(self) -> int:
        """See `LikeStore.changed_count`."""
        return sum(self._counts())

    def take(self, limit: int) -> list[UserId]:
        """See `LikeStore.take_changed`."""
        if not isinstance(self._keys, ClusterKeys):
            return list(self._redis.run("SPOP", self._keys.changed, limit))
        takes: list[tuple[str, str, int]] = []
        for key, count in zip(self._sets(), self._counts(), strict=True):
            if (some := min(count, limit)) > 0:
                takes.append(("SPOP", key, some))
                limit -= some
        return [user for taken in self._redis.pipeline(takes) for user in taken]

    def mark(self, users: Iterable[UserId]) -> None:
        """See `LikeStore.mark_changed`."""
        by_set: defaultdict[str, set[UserId]] = defaultdict(set)
        for user in users:
            by_set[self._set_of(user)].add(user)
        for changed, some in by_set.items():
            for command, key, members, _ in set_writes("SADD", changed, some):
                self._redis.run(command, key, *members)

    def _counts(self) -> list[int]:
        return list(map(int, self._redis.read([("SCARD", key) for key in self._sets()])))

    def _sets(self) -> list[str]:
        if isinstance(self._keys, ClusterKeys):
            return [self._keys.changed_in(bucket) for bucket in range(self._keys.buckets)]
        return [self._keys.changed]

    def _set_of(self, user: UserId) -> str:
        if isinstance(self._keys, ClusterKeys):
            return self._keys.changed_in(self._keys.group_of(user))
        return self._keys.changed
