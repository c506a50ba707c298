"""How far each assigned partition was read, and how far it was committed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from likewise.records import Span, TopicPartition


class OffsetTracker:
    """The offsets of the assigned partitions.

    In all methods, `oldest_open` is the offset of each partition's first request without a reply,
    if there is one.
    """

    def __init__(self) -> None:
        self._read: dict[TopicPartition, int] = {}
        self._committed: dict[TopicPartition, int] = {}

    @property
    def read(self) -> Mapping[TopicPartition, int]:
        """How far each partition was read."""
        return self._read

    def note_read(self, spans: Mapping[TopicPartition, Span]) -> None:
        """Remember how far a poll has read, including offsets that hold no request."""
        for partition, span in spans.items():
            self._read[partition] = span.end

    def note_committed(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Remember what was committed."""
        self._committed.update(offsets)

    def keep_only(self, assigned: Collection[TopicPartition]) -> None:
        """Forget partitions that are assigned to another member."""
        for lost in self._read.keys() - set(assigned):
            del self._read[lost]
            self._committed.pop(lost, None)

    def reached(self, oldest_open: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """Return the offset of each partition below which every request has its reply."""
        return {
            partition: min(read, oldest_open.get(partition, read))
            for partition, read in self._read.items()
        }

    def to_commit(self, oldest_open: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """Return the part of `reached` that is not committed yet."""
        return {
            partition: offset
            for partition, offset in self.reached(oldest_open).items()
            if self._committed.get(partition) != offset
        }

    def lag(
        self, ends: Mapping[TopicPartition, int], oldest_open: Mapping[TopicPartition, int]
    ) -> dict[str, int]:
        """Return how many requests have no reply yet, by partition number."""
        return {
            str(partition.partition): max(ends[partition] - reached, 0)
            for partition, reached in self.reached(oldest_open).items()
            if partition in ends
        }
