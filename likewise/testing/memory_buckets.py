"""The part of MemoryStore for stores in parts, which it is not: a batch moves everything at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from likewise.store.bucket_port import Extent
from likewise.store.port import Changes

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from likewise.records import TopicPartition
    from likewise.store.bucket_port import Ahead, Move, Moved
    from likewise.store.port import Advance


class MemoryBuckets(ABC):
    """See `likewise.store.bucket_port.BucketStore`."""

    @abstractmethod
    def positions(self, partitions: Sequence[TopicPartition]) -> list[int | None]:
        """See `LikeStore.positions`."""

    @abstractmethod
    def apply(self, changes: Changes, advances: Mapping[TopicPartition, Advance]) -> None:
        """See `LikeStore.apply`."""

    def extents(
        self, partitions: Sequence[TopicPartition], *, resume: bool = False
    ) -> list[Extent]:
        """See `BucketStore.extents`."""
        return [Extent(at, at) for at in self.positions(partitions)]

    def resume_at(self, advances: Mapping[TopicPartition, Advance], *, rewind: bool) -> None:
        """See `BucketStore.resume_at`."""
        self.apply(Changes(), advances)

    def level(self, positions: Mapping[TopicPartition, int]) -> None:
        """See `BucketStore.level`."""
        return

    def ahead(self, partitions: Collection[TopicPartition]) -> Ahead | None:
        """See `BucketStore.ahead`."""
        return None

    def moved(self, moves: Sequence[Move]) -> list[Moved | None]:
        """See `BucketStore.moved`."""
        return [None] * len(moves)
