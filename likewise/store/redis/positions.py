"""Applied positions in Redis, and batches that move them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likewise.errors import ForeignDataError, HomesMovedError, PositionMovedError
from likewise.store.redis.applying import NOWHERE, Expectation, apply_script
from likewise.store.redis.documents import note_commands, put_commands
from likewise.store.redis.merging import MERGE
from likewise.store.redis.new_likes import FORGET_LIKERS, FORGET_LIKERS_SCRIPT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from likewise.records import TopicPartition
    from likewise.store.keys import Keys
    from likewise.store.port import Advance
    from likewise.store.redis.applying import Command, Write
    from likewise.store.redis.bulk_reading import Read
    from likewise.store.redis.commands import RedisCommands

_SCATTERED_MEANWHILE = "users were marked as scattered meanwhile"


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

    def apply_atomically(
        self,
        batch: Iterable[Write],
        homes: Sequence[Expectation],
        advances: Mapping[TopicPartition, Advance],
    ) -> None:
        """Apply a batch and move the positions in one script; see `LikeStore.apply`."""
        expected = [
            Expectation(
                self._keys.position(*partition),
                NOWHERE if step.expected is None else step.expected,
                step.next,
            )
            for partition, step in advances.items()
        ]
        stored = self._redis.run(*apply_script([*expected, *homes], batch))
        if not stored:
            return
        found = dict(
            zip(advances, self.parse(list(advances), stored[: len(expected)]), strict=True)
        )
        if all(found[partition] == step.expected for partition, step in advances.items()):
            raise HomesMovedError(_SCATTERED_MEANWHILE)
        raise PositionMovedError(found)

    def apply_stepwise(
        self,
        batch: Iterable[Write],
        homes: Sequence[Expectation],
        advances: Mapping[TopicPartition, Advance],
        *,
        first: Iterable[Write] = (),
    ) -> None:
        """Apply a batch that spans the nodes of a cluster: the sets first, the positions last.

        `first` are writes that must be there before others of the batch erase where they came from. A crash in between makes the next consumer apply the batch again. Entries of
        streams are written after what they announce, so that a reader of the stream finds the new state.
        """
        self._check(advances)
        self._check_homes(homes)
        self._redis.pipeline([command for write in first for command in _commands(write)])
        listed = list(batch)
        self._redis.pipeline([command for write in listed for command in _commands(write)])
        self._redis.pipeline([note for write in listed for note in _notes(write)])
        self._check_homes(homes)
        for one in homes:
            if one.next != one.expected:
                self._redis.run("SET", one.key, one.next)
        for partition, advance in advances.items():
            if advance.next != advance.expected:
                self.apply_atomically([], [], {partition: advance})

    def _check(self, advances: Mapping[TopicPartition, Advance]) -> None:
        stored = dict(zip(advances, self.get(list(advances)), strict=True))
        if any(stored[partition] != step.expected for partition, step in advances.items()):
            raise PositionMovedError(stored)

    def _check_homes(self, homes: Sequence[Expectation]) -> None:
        if any(self._redis.run("GET", one.key) != one.expected for one in homes):
            raise HomesMovedError(_SCATTERED_MEANWHILE)


def _commands(write: Write) -> list[Command]:
    if write.command == "PUT":
        return [*put_commands(write.key, [*write.members])]
    if write.command in (FORGET_LIKERS, "XADD"):
        return []
    if write.second_key is None:
        return [(write.command, write.key, *write.members)]
    return [("EVAL", MERGE, 2, write.key, write.second_key, *write.members)]


def _notes(write: Write) -> list[Command]:
    if write.command == FORGET_LIKERS:
        return [("EVAL", FORGET_LIKERS_SCRIPT, 1, write.key, *write.members)]
    if write.command == "XADD":
        return [(write.command, write.key, *write.members)]
    if write.command != "PUT" or write.second_key is None:
        return []
    return [*note_commands(write.second_key, [*write.members])]
