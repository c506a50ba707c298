"""One partition in memory, and a cursor that reads several as a Kafka consumer would."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from likewise.records import Span

if TYPE_CHECKING:
    from collections.abc import Mapping

    from likewise.records import Record, TopicPartition


@dataclass(frozen=True, slots=True)
class MemoryRecord:
    """A `likewise.records.Record`; `timestamp` is in ms since the epoch."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    leader_epoch: int = 0


@dataclass(slots=True)
class PartitionLog:
    """The records of one partition; those before offset `first` are deleted."""

    first: int = 0
    records: list[Record] = field(default_factory=list)
    epoch_starts: list[int] = field(default_factory=lambda: [0])
    """Where the log of each leader epoch begins, by its number; the last leads now."""

    @property
    def end(self) -> int:
        """The offset that the next record will get."""
        return self.first + len(self.records)

    def since(self, time_ms: int) -> int:
        """Return the offset of the first record that is not older, or the end."""
        return next((one.offset for one in self.records if one.timestamp >= time_ms), self.end)

    @property
    def epoch(self) -> int:
        """The leader epoch now."""
        return len(self.epoch_starts) - 1

    def epoch_end(self, epoch: int) -> int:
        """Return before which offset the log is as it was under that leader."""
        return self.epoch_starts[epoch + 1] if epoch < self.epoch else self.end

    def lose_tail(self, end: int) -> None:
        """Drop the newest records, and go on under another leader, as after an unclean election."""
        del self.records[end - self.first :]
        self.epoch_starts = [min(start, end) for start in self.epoch_starts] + [end]

    def delete_before(self, offset: int) -> None:
        """Drop the oldest records, as retention does; the others keep their offsets."""
        first = min(max(offset, self.first), self.end)
        del self.records[: first - self.first]
        self.first = first


class Cursor:
    """Positions in several partitions; one outside a log goes to the log's oldest record."""

    def __init__(self, logs: Mapping[TopicPartition, PartitionLog]) -> None:
        self._logs = logs
        self.offsets: dict[TopicPartition, int] = {}
        self.held: set[TopicPartition] = set()
        """Partitions that give nothing."""
        self.spans: dict[TopicPartition, Span] = {}
        """What was last taken."""

    def take(self, limit: int) -> list[Record]:
        """Return up to `limit` next records, each partition's in order, and move past them."""
        taken: list[Record] = []
        self.spans = {}
        for partition in list(self.offsets):
            found = self._take_from(partition, limit - len(taken))
            if found:
                # To the back of the line: a busy partition must not starve the others.
                self.offsets[partition] = self.offsets.pop(partition)
            taken += found
        return taken

    def _take_from(self, partition: TopicPartition, limit: int) -> list[Record]:
        log = self._logs.get(partition)
        if log is None or partition in self.held:
            return []
        offset = self.offsets[partition]
        start = offset - log.first if log.first <= offset <= log.end else 0
        found = log.records[start : start + limit]
        self.offsets[partition] = log.first + start + len(found)
        if found:
            self.spans[partition] = Span(log.first + start, self.offsets[partition])
        return found
