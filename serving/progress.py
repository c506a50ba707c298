"""How far the request topic may be committed: never past a request without its reply."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from likewise.records import Span, TopicPartition


def first_offsets(places: Iterable[tuple[TopicPartition, int]]) -> dict[TopicPartition, int]:
    """Return the least offset of each partition."""
    first: dict[TopicPartition, int] = {}
    for partition, offset in places:
        first[partition] = min(offset, first.get(partition, offset))
    return first


class Progress:
    """What was read of each assigned partition, and what was committed of it."""

    def __init__(self) -> None:
        self._read: dict[TopicPartition, int] = {}
        self._committed: dict[TopicPartition, int] = {}

    @property
    def read(self) -> Mapping[TopicPartition, int]:
        """How far each partition was read."""
        return self._read

    def note_read(self, spans: Mapping[TopicPartition, Span]) -> None:
        """Remember how far a poll has read, also where it went across what is no request."""
        for partition, span in spans.items():
            self._read[partition] = span.end

    def keep_only(self, assigned: Collection[TopicPartition]) -> None:
        """Forget the partitions that are another member's now."""
        for lost in self._read.keys() - set(assigned):
            del self._read[lost]
            self._committed.pop(lost, None)

    def to_commit(self, oldest_waiting: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """Return the next offset of each partition that has come further.

        All that was read has its reply, except what waits: from there on a successor reads.
        """
        return {
            partition: offset
            for partition, offset in self.reached(oldest_waiting).items()
            if self._committed.get(partition) != offset
        }

    def reached(self, oldest_waiting: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """Return up to where every request of each partition has its reply."""
        return {
            partition: min(read, oldest_waiting.get(partition, read))
            for partition, read in self._read.items()
        }

    def behind(
        self, ends: Mapping[TopicPartition, int], oldest_open: Mapping[TopicPartition, int]
    ) -> dict[str, int]:
        """Return how much of each partition has no reply yet, by the partition's number."""
        return {
            str(at.partition): max(ends[at] - min(read, oldest_open.get(at, read)), 0)
            for at, read in self._read.items()
            if at in ends
        }

    def note_committed(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Remember what needs no commit any more."""
        self._committed.update(offsets)
