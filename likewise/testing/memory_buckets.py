"""The part of MemoryStore for what is next to positions, which move all at once: it has no buckets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from likewise.store.bucket_port import Extent
from likewise.store.port import Changes

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from contextlib import AbstractContextManager

    from likewise.records import TopicPartition
    from likewise.store.bucket_port import Ahead, Move, Moved
    from likewise.store.port import Advance


class MemoryBuckets(ABC):
    """See `likewise.store.bucket_port.BucketStore`; logs and epochs: see `LikeStore`."""

    @abstractmethod
    def _answering(self) -> AbstractContextManager[None]: ...

    def _flush_logs(self) -> None:
        self._logs: dict[TopicPartition, str] = {}
        self._epochs: dict[TopicPartition, int] = {}

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

    def logs(self, partitions: Sequence[TopicPartition]) -> list[str | None]:
        """See `LikeStore.logs`."""
        with self._answering():
            return [self._logs.get(partition) for partition in partitions]

    def note_logs(self, log: str, partitions: Sequence[TopicPartition]) -> None:
        """See `LikeStore.note_logs`."""
        with self._answering():
            self._logs.update(dict.fromkeys(partitions, log))

    def epochs(self, partitions: Sequence[TopicPartition]) -> list[int | None]:
        """See `LikeStore.epochs`."""
        with self._answering():
            return [self._epochs.get(partition) for partition in partitions]

    def note_epochs(self, epochs: Mapping[TopicPartition, int]) -> None:
        """See `LikeStore.note_epochs`."""
        with self._answering():
            self._epochs.update(epochs)
