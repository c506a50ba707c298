"""How far this member's partitions are applied, where they resume, and what to commit.

A position is believed until Redis or the log contradicts it. A partition in doubt has no position:
nothing of it is applied until `resume_unknown` has read its position from Redis and sought it in the log.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from operator import attrgetter
from typing import TYPE_CHECKING

from consumers.batches import by_partition
from consumers.commits import Commits
from consumers.epochs import Epochs, truncated
from consumers.resume_points import recreated, resume_points
from likewise.errors import PositionMovedError, TransientError, UndeliverableError
from likewise.log.port import partition_label
from likewise.store.port import Advance

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

    from consumers.batches import Batch
    from consumers.resume_points import ResumePoint
    from likewise.log.port import Broker, Source
    from likewise.records import Record, TopicPartition
    from likewise.store.port import LikeStore

COMMIT_EVERY_S = 0.25
LEVEL_EVERY_S = 0.1


class Positions:
    """The applied positions of the assigned partitions. Not thread-safe."""

    def __init__(
        self,
        broker: Broker,
        store: LikeStore,
        source: Source,
        topic: str,
        *,
        check_log_every_s: float,
    ) -> None:
        """Know no position yet; `source` must seek before it reads a partition.

        `topic` is the one whose partitions `lag` names by their numbers.
        """
        self._broker = broker
        self._store = store
        self._source = source
        self._topic = topic
        self._epochs = Epochs(broker, store)
        self._rebalances = 0
        # Redis holds the same, or refuses our batch.
        self._applied: dict[TopicPartition, int] = {}
        self._commits = Commits(source, every_s=COMMIT_EVERY_S)
        self._next_level_s = 0.0
        self._check_log_every_s = check_log_every_s
        self._next_log_check_s = time.monotonic() + check_log_every_s

    def follow_assignment(self) -> None:
        """Doubt every partition after a rebalance: another member may have read it meanwhile."""
        if self._rebalances != self._source.rebalances():
            self._rebalances = self._source.rebalances()
            self._applied.clear()
        self.doubt(self._applied.keys() - self._source.assignment())

    def reached(self) -> dict[TopicPartition, int]:
        """Return the end of what the last poll read, of partitions that it read without a gap."""
        reached: dict[TopicPartition, int] = {}
        for partition, span in self._source.spans().items():
            applied = self._applied.get(partition)
            if applied is None:
                continue
            if span.start <= applied < span.end:
                reached[partition] = span.end
            else:  # records are missing, or it is another log
                self.doubt([partition])
        return reached

    def unapplied(self, polled: Iterable[Record], reached: Container[TopicPartition]) -> Batch:
        """Return the records from the applied position on, of the partitions in `reached`."""
        batch: Batch = {}
        for partition, records in by_partition(polled).items():
            if partition in reached:
                applied = self._applied[partition]
                if new := records[bisect_left(records, applied, key=attrgetter("offset")) :]:
                    batch[partition] = new
        return batch

    def unknown(self) -> list[TopicPartition]:
        """Return the assigned partitions without a position, for `resume_unknown`."""
        return sorted(self._source.assignment() - self._applied.keys())

    def resume_unknown(self) -> dict[TopicPartition, ResumePoint]:
        """Seek the resume points of `unknown`, and return them; some may be left for a later call.

        Raises:
            TransientError: a server cannot be reached, or the topic was just deleted.
        """
        try:
            points = resume_points(self._broker, self._store, self.unknown())
        except UndeliverableError as gone:
            raise TransientError(str(gone)).of("kafka") from gone
        self._epochs.forget(points)
        for partition, point in points.items():
            self._source.seek(partition, point.offset)
            self._applied[partition] = point.offset
            self._commits.note({partition: point.offset})
        return points

    def doubt_truncated(self, batch: Batch) -> bool:
        """Return whether a log has lost applied events since the last batch, and doubt it.

        Raises:
            TransientError: a server cannot be reached.
        """
        lost = self._epochs.truncated_before(batch, self._applied)
        self.doubt(lost)
        return bool(lost)

    def advances(self, reached: Mapping[TopicPartition, int]) -> dict[TopicPartition, Advance]:
        """Return the step of every partition; one without events is compared with Redis, too."""
        return {
            partition: Advance(applied, reached.get(partition, applied))
            for partition, applied in self._applied.items()
        }

    def move(self, reached: Mapping[TopicPartition, int]) -> None:
        """Note that everything up to `reached` is applied."""
        self._applied.update(reached)
        self._commits.note(reached)

    def doubt(self, partitions: Iterable[TopicPartition]) -> None:
        """Drop the partitions' positions: Redis and the log decide where to resume."""
        for partition in partitions:
            self._applied.pop(partition, None)

    def check_store(self) -> None:
        """Raise if Redis has lost its last writes, or another member has applied a partition.

        Raises:
            PositionMovedError: with the partitions whose positions moved.
            TransientError: Redis cannot be reached.
        """
        self.level(at_once=True)
        partitions = list(self._applied)
        stored = dict(zip(partitions, self._store.extents(partitions), strict=True))
        moved = {p: lowest for p, (lowest, _) in stored.items() if lowest != self._applied[p]}
        if moved:
            raise PositionMovedError(moved)

    def level(self, *, at_once: bool = False) -> None:
        """Move the parts of the store that the last batches did not change, unless that was just done.

        Raises:
            PositionMovedError: a part has lost writes, or another member has moved it.
            TransientError: Redis cannot be reached.
        """
        now_s = time.monotonic()
        if at_once or now_s >= self._next_level_s:
            self._next_level_s = now_s + LEVEL_EVERY_S
            self._store.level(self._applied)

    def check_log(self) -> None:
        """Doubt, now and then, partitions whose topic was recreated or whose log lost its tail."""
        if time.monotonic() < self._next_log_check_s:
            return
        self._next_log_check_s = time.monotonic() + self._check_log_every_s
        try:
            self.doubt(recreated(self._broker, self._store, [*self._applied]))
            self.doubt(truncated(self._broker, self._store, self._applied))
        except TransientError:
            return  # the next call to the same server reports it

    @property
    def commit_is_due(self) -> bool:
        """Whether the last commit is so long ago that the next one should not wait."""
        return self._commits.is_due

    def commit(self) -> None:
        """Commit to Kafka what is applied, for monitoring; a failure is left to the next commit."""
        self._commits.commit()

    def lag(self) -> dict[str, int]:
        """Return the offsets left in each partition, by the end that the last poll reported.

        Of a compacted topic, fewer records than that may be left.
        """
        ends = self._source.known_ends()
        return {
            partition_label(at, self._topic): max(ends[at] - applied, 0)
            for at, applied in self._applied.items()
            if at in ends
        }
