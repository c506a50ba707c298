"""Applied positions in Redis, and batches that move them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likewise.errors import ForeignDataError, HomesMovedError, PositionMovedError
from likewise.store.bucket_port import Extent
from likewise.store.port import Changes
from likewise.store.redis.applying import NOWHERE, Expectation, apply_script, writes
from likewise.store.redis.scattering import expected_homes

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from likewise.messages.ids import UserId
    from likewise.records import TopicPartition
    from likewise.store.bucket_port import Ahead, Move, Moved
    from likewise.store.keys import Keys
    from likewise.store.port import Advance
    from likewise.store.redis.bulk_reading import Read
    from likewise.store.redis.commands import RedisCommands

SCATTERED_MEANWHILE = "users were marked as scattered meanwhile"


class Positions:
    """The applied positions. A batch is applied only if they are where the caller believes."""

    def __init__(self, redis: RedisCommands, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    def get(self, partitions: Sequence[TopicPartition]) -> list[int | None]:
        """See `LikeStore.positions`."""
        return self.parse(partitions, self._redis.pipeline(self.reads(partitions)))

    def reads(self, partitions: Sequence[TopicPartition]) -> list[Read]:
        """Return the commands whose replies `parse` takes."""
        return [("GET", self._keys.position(*partition)) for partition in partitions]

    def user_reads(
        self, users: Sequence[UserId], partitions: Sequence[TopicPartition]
    ) -> list[Read]:
        """Return nothing: users have no positions of their own."""
        return []

    def parse(
        self, partitions: Sequence[TopicPartition], stored: Sequence[str | None]
    ) -> list[int | None]:
        """Return the positions; None where nothing is applied.

        Raises:
            ForeignDataError: one of the keys holds something else.
        """
        try:
            return [int(at) if at else None for at in stored]
        except ValueError as error:
            names = ", ".join(self._keys.position(*partition) for partition in partitions)
            raise ForeignDataError(
                f"Redis at {self._redis.address}: one of the keys {names} does not hold a log "
                "position; remove it, and the consumer reads the log again from its beginning"
            ) from error

    def extents(
        self, partitions: Sequence[TopicPartition], *, resume: bool = False
    ) -> list[Extent]:
        """See `LikeStore.extents`."""
        return [Extent(at, at) for at in self.get(partitions)]

    def resume_at(self, advances: Mapping[TopicPartition, Advance], *, rewind: bool) -> None:
        """See `LikeStore.resume_at`."""
        self.apply(Changes(), advances)

    def level(self, positions: Mapping[TopicPartition, int]) -> None:
        """See `LikeStore.level`; there is nothing to do."""

    def ahead(self, partitions: Collection[TopicPartition]) -> Ahead | None:
        """See `LikeStore.ahead`; a batch is applied as a whole."""
        return None

    def moved(self, moves: Sequence[Move]) -> list[Moved | None]:
        """See `LikeStore.moved`; nothing is kept, since `ahead` never asks for it."""
        return [None] * len(moves)

    def apply(self, changes: Changes, advances: Mapping[TopicPartition, Advance]) -> None:
        """Apply a batch and move the positions in one script; see `LikeStore.apply`."""
        homes = (
            [] if changes.homes is None else [expected_homes(self._keys, changes, changes.homes)]
        )
        expected = [
            Expectation(
                self._keys.position(*partition),
                NOWHERE if step.expected is None else step.expected,
                step.next,
            )
            for partition, step in advances.items()
        ]
        stored = self._redis.run(*apply_script([*expected, *homes], writes(self._keys, changes)))
        if not stored:
            return
        found = dict(
            zip(advances, self.parse(list(advances), stored[: len(expected)]), strict=True)
        )
        if all(found[partition] == step.expected for partition, step in advances.items()):
            raise HomesMovedError(SCATTERED_MEANWHILE)
        raise PositionMovedError(found)
