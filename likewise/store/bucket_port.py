"""The part of the store that tells how far its parts are: on a Redis Cluster, buckets move one by one.

Elsewhere a batch moves everything at once, and nothing here does anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from likewise.messages.ids import ItemId, SignalKind, UserId
    from likewise.records import TopicPartition
    from likewise.store.port import Advance

    Moved = Mapping[SignalKind | None, Collection[ItemId]]
    """The items that a merge moves from a guest to an account, by kind; None for likes."""


class Extent(NamedTuple):
    """How far all of the store has applied a partition, and how far any part of it; None for nowhere."""

    lowest: int | None
    furthest: int | None


class Move(NamedTuple):
    """The merge at a place in the log, by its guest."""

    guest: UserId
    partition: TopicPartition
    offset: int


class Ahead(Protocol):
    """Which records some parts of the store have applied already, and others have not."""

    def has(self, user_id: UserId, partition: TopicPartition, offset: int) -> bool:
        """Whether the record is applied to the user."""

    def has_item(self, item_id: ItemId, partition: TopicPartition, offset: int) -> bool:
        """Whether the record is applied to the item of the catalogue."""

    def has_shared(self, partition: TopicPartition, offset: int) -> bool:
        """Whether the record is applied to everything else."""


class BucketStore(Protocol):
    """How far each part of the store is, and how to bring them together."""

    def extents(
        self, partitions: Sequence[TopicPartition], *, resume: bool = False
    ) -> list[Extent]:
        """Return how far the parts of the store have applied each partition.

        With `resume` the caller continues at the lowest positions, and so misses nothing.
        """

    def resume_at(self, advances: Mapping[TopicPartition, Advance], *, rewind: bool) -> None:
        """Move the positions to where a consumer resumes; `expected` is the lowest position.

        Parts that are further stay there, except with `rewind`: then their positions mean nothing.

        Raises:
            PositionMovedError: a position is not the expected one.
        """

    def level(self, positions: Mapping[TopicPartition, int]) -> None:
        """Move the parts that the last batches did not change to these positions, which are applied.

        Raises:
            PositionMovedError: a part has lost writes, or another consumer has moved it.
        """

    def ahead(self, partitions: Collection[TopicPartition]) -> Ahead | None:
        """Return what is applied beyond the positions of these partitions; None, most often, if nothing is."""

    def moved(self, moves: Sequence[Move]) -> list[Moved | None]:
        """Return what these merges moved; None where it is not known, after a day."""
