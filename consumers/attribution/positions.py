"""How far attribution has read, and where it resumes.

As in `consumers.positions`, a position is believed until Redis or the log contradicts it. To read records
again is harmless: what may still count is kept by recommendation id, and what is closed counts no more.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from consumers.attribution.runs import start_ms
from consumers.commits import Commits
from likewise.errors import PositionMovedError, TransientError, UndeliverableError
from likewise.experiments.window import LATENESS_MS
from likewise.log.port import partition_label
from likewise.records import TopicPartition
from likewise.service.logs import get_logger
from likewise.store.attribution_port import AttributionUpdate, Reached, Step

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from likewise.experiments.runs import Run
    from likewise.log.port import Broker, Source
    from likewise.records import Record
    from likewise.store.port import LikeStore

_REFRESH_EVERY_S = 5.0
_COMMIT_EVERY_S = 1.0


class AttributionPositions:
    """The positions of the assigned partitions, and the time up to which everybody has read."""

    def __init__(
        self,
        broker: Broker,
        store: LikeStore,
        source: Source,
        topics: Sequence[str],
        experiments: str,
    ) -> None:
        """Know no position yet; `source` must seek before it reads a partition.

        `topics` are those of exposures and of likes; `experiments` is that of experiments.
        """
        self._broker = broker
        self._store = store
        self._source = source
        self._topics = topics
        self._experiments = experiments
        self._rebalances = 0
        self._at: dict[TopicPartition, Reached] = {}
        self._all: list[TopicPartition] = []
        self._commits = Commits(source, every_s=_COMMIT_EVERY_S)
        self._next_refresh_s = 0.0

    def follow_assignment(self) -> None:
        """Doubt every partition after a rebalance."""
        if self._rebalances != self._source.rebalances():
            self._rebalances = self._source.rebalances()
            self._at.clear()
        self.doubt(self._at.keys() - self._source.assignment())

    def doubt(self, partitions: Iterable[TopicPartition]) -> None:
        """Drop the partitions' positions: Redis and the log decide where to resume."""
        for partition in [*partitions]:
            self._at.pop(partition, None)

    def may_resume(self) -> bool:
        """Return whether the store has every experiment, if a partition is without a position.

        Redis that has lost writes gets its experiments back one by one. To count before it has all
        of them would pass the records of those that are missing.

        Raises:
            TransientError: a server cannot be reached.
        """
        if self._source.assignment() <= self._at.keys():
            return True
        partitions = self._broker.partitions(self._experiments)
        beginnings = self._broker.beginning_offsets(partitions)
        ends = self._broker.end_offsets(partitions)
        applied = zip(partitions, self._store.positions(partitions), strict=True)
        return all((beginnings[one] if at is None else at) >= ends[one] for one, at in applied)

    def resume_unknown(self, runs: Sequence[Run]) -> dict[TopicPartition, int]:
        """Seek the partitions without a position, and return where they resume.

        Raises:
            TransientError: a server cannot be reached, or a topic was just deleted.
        """
        unknown = sorted(self._source.assignment() - self._at.keys())
        if not unknown:
            return {}
        try:
            found = self._resume_points(unknown, runs)
        except UndeliverableError as gone:
            raise TransientError(str(gone)).of("kafka") from gone
        for partition, (before, point) in found.items():
            if before != point:
                try:
                    step = {partition: Step(before, point)}
                    self._store.apply_attribution(AttributionUpdate(steps=step))
                except PositionMovedError:
                    continue
            self._source.seek(partition, point.offset)
            self._at[partition] = point
        return {one: self._at[one].offset for one in unknown if one in self._at}

    def unread(self, polled: Iterable[Record]) -> tuple[list[Record], dict[TopicPartition, Step]]:
        """Return the records from the positions on, and the steps that they are.

        From time to time, partitions at their ends are among the steps, with a later time.
        """
        now_ms = time.time_ns() // 1_000_000
        reached = self._reached()
        records, latest_ms = [], dict.fromkeys(reached, 0)
        for record in polled:
            partition = _partition_of(record)
            if partition in reached and record.offset >= self._at[partition].offset:
                records.append(record)
                latest_ms[partition] = max(latest_ms[partition], record.timestamp)
        if time.monotonic() >= self._next_refresh_s:
            self._next_refresh_s = time.monotonic() + _REFRESH_EVERY_S
            reached = {one: at.offset for one, at in self._at.items()} | reached
        ends = self._source.known_ends()
        steps = {}
        for partition, offset in reached.items():
            at = self._at[partition]
            is_at_end = offset >= ends.get(partition, offset + 1)
            time_ms = now_ms if is_at_end else min(latest_ms.get(partition, 0), now_ms)
            following = at._replace(offset=offset, read_to_ms=max(at.read_to_ms, time_ms))
            if following != at:
                steps[partition] = Step(at, following)
        return records, steps

    def move(self, steps: Mapping[TopicPartition, Step]) -> None:
        """Note that these steps are applied."""
        for partition, step in steps.items():
            self._at[partition] = step.next
            self._commits.note({partition: step.next.offset})

    def read_to_ms(self, stored: Mapping[TopicPartition, Reached]) -> int:
        """Return the time up to which all partitions of both topics are read; 0 if it is not known."""
        if not all(partition in stored for partition in self._all):
            return 0
        return min((stored[partition].read_to_ms for partition in self._all), default=0)

    def commit(self) -> None:
        """Commit to Kafka what is applied, for monitoring, once a second at most."""
        if self._commits.is_due:
            self._commits.commit()

    def lag(self) -> dict[str, int]:
        """Return the offsets left in each partition, by `topic/number`."""
        ends = self._source.known_ends()
        return {
            partition_label(one, ""): max(ends[one] - at.offset, 0)
            for one, at in self._at.items()
            if one in ends
        }

    def _reached(self) -> dict[TopicPartition, int]:
        """Return the end of what the last poll read, of partitions that it read without a gap."""
        reached = {}
        for partition, span in self._source.spans().items():
            at = self._at.get(partition)
            if at is None:
                continue
            if span.start <= at.offset < span.end:
                reached[partition] = span.end
            else:
                self.doubt([partition])
        return reached

    def _resume_points(
        self, unknown: Sequence[TopicPartition], runs: Sequence[Run]
    ) -> dict[TopicPartition, tuple[Reached | None, Reached]]:
        """Return what is stored of each partition, and where to resume it."""
        self._all = [one for topic in self._topics for one in self._broker.partitions(topic)]
        logs = {topic: self._broker.log_id(topic) or "" for topic in self._topics}
        stored = self._store.attribution_positions()
        beginnings = self._broker.beginning_offsets(unknown)
        ends = self._broker.end_offsets(unknown)
        first = self._first_that_count(unknown, runs)
        counts_all = any(run.experiment is None for run in runs)
        points = {}
        for one in unknown:
            at = stored.get(one)
            if at is None or at.log != logs[one.topic] or at.offset > ends[one]:
                point = Reached(first[one], 0, logs[one.topic])
            else:
                # What comes before the first experiment counts only if every list does.
                offset = at.offset if counts_all else max(at.offset, first[one])
                if offset < beginnings[one]:
                    get_logger().error(
                        "retention removed records before they were counted for experiments",
                        **one._asdict(),
                        counted=at.offset,
                        beginning=beginnings[one],
                    )
                point = at._replace(offset=max(offset, beginnings[one]))
            points[one] = at, point
        return points

    def _first_that_count(
        self, unknown: Sequence[TopicPartition], runs: Sequence[Run]
    ) -> dict[TopicPartition, int]:
        """Return the offsets before which nothing counts: the ends, if no list was ever shown."""
        exposures = self._broker.partitions(self._topics[0])
        beginnings, ends = (
            self._broker.beginning_offsets(exposures),
            self._broker.end_offsets(exposures),
        )
        if beginnings == ends:
            runs = [run for run in runs if run.experiment is not None]
        since_ms = start_ms(runs, time.time_ns() // 1_000_000)
        if since_ms is None:
            return self._broker.end_offsets(unknown)
        return self._broker.offsets_since(unknown, since_ms - LATENESS_MS)


def _partition_of(record: Record) -> TopicPartition:
    return TopicPartition(record.topic, record.partition)
