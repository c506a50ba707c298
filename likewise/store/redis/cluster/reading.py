"""Reads the positions that a cluster has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likewise.errors import ForeignDataError
from likewise.store.bucket_port import Extent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from likewise.messages.ids import UserId
    from likewise.records import TopicPartition
    from likewise.store.cluster_keys import ClusterKeys
    from likewise.store.redis.bulk_reading import Read
    from likewise.store.redis.commands import RedisCommands


class StoredPositions:
    """The positions of all groups, as they are stored."""

    def __init__(self, redis: RedisCommands, keys: ClusterKeys) -> None:
        self._redis = redis
        self._keys = keys

    def get(self, partitions: Sequence[TopicPartition]) -> list[int | None]:
        """See `LikeStore.positions`."""
        return self.parse(partitions, self._redis.read(self.reads(partitions)))

    def reads(self, partitions: Sequence[TopicPartition]) -> list[Read]:
        """Return the commands whose replies `parse` takes."""
        return [
            ("HGET", self._keys.state(self._keys.shared), self._keys.field(one))
            for one in partitions
        ]

    def user_reads(
        self, users: Sequence[UserId], partitions: Sequence[TopicPartition]
    ) -> list[Read]:
        """Return the commands that read the positions of each user's bucket, for `parse`."""
        fields = [self._keys.field(one) for one in partitions]
        states = (self._keys.state(self._keys.group_of(user)) for user in users)
        return [("HMGET", state, *fields) for state in states] if fields else []

    def parse(
        self, partitions: Sequence[TopicPartition], stored: Sequence[str | None]
    ) -> list[int | None]:
        """Return the positions; None where nothing is applied.

        Raises:
            ForeignDataError: a field holds something else.
        """
        try:
            return [int(at) if at else None for at in stored]
        except ValueError as error:
            raise ForeignDataError(
                f"Redis at {self._redis.address}: one of the keys {self._keys.state(0)} and so on "
                "does not hold log positions; remove it, and the consumer reads the log again from "
                "its beginning"
            ) from error

    def read(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, list[int | None]]:
        """Return the position of each group, by partition."""
        if not partitions:
            return {}
        fields = [self._keys.field(one) for one in partitions]
        states = [("HMGET", self._keys.state(one), *fields) for one in self._keys.groups]
        found = [self.parse(partitions, positions) for positions in self._redis.read(states)]
        return {one: [*at] for one, at in zip(partitions, zip(*found, strict=True), strict=True)}


def extent_of(at: Sequence[int | None]) -> Extent:
    """Return how far all groups are, and the furthest one."""
    known = [one for one in at if one is not None]
    return Extent(min(known) if len(known) == len(at) else None, max(known, default=None))
