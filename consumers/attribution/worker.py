"""The loop of attribution: poll, decode, fold, apply, commit.

Positions, counts and what is kept of users change together in Redis, so a record counts once whatever
fails. The loop has its own thread: likes are applied whatever happens here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from consumers.attribution.positions import AttributionPositions
from consumers.attribution.records import decode
from consumers.attribution.runs import closed
from consumers.dead_letters import DeadLetters
from likewise.errors import AttributionMovedError, PositionMovedError
from likewise.experiments.attribution import (
    Memory,
    decode_totals,
    decode_windows,
    encode_totals,
    encode_windows,
    fold,
    totals_needed,
)
from likewise.experiments.tally import to_fields
from likewise.experiments.window import kept_for_ms
from likewise.retry import StoppedError
from likewise.service.logs import get_logger
from likewise.service.loop import GroupMember
from likewise.service.stall_detector import StallDetector
from likewise.service.store_watch import StoreWatch
from likewise.store.attribution_port import AttributionUpdate, Cell

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping, Sequence

    from consumers.attribution.runs import Runs
    from consumers.attribution.stats import AttributionStats
    from likewise.experiments.attribution import UserRecords
    from likewise.experiments.counting import RunChange
    from likewise.experiments.runs import Run
    from likewise.log.port import Broker
    from likewise.log.topics import Topics
    from likewise.records import TopicPartition
    from likewise.settings import Settings
    from likewise.store.attribution_port import Step
    from likewise.store.port import LikeStore

K = TypeVar("K")
_MAX_RECORDS = 1_000
_OUTAGE_S = 86_400.0
"""Attribution may be away for this long without losing what it keeps of users."""


class AttributionWorker:
    """Counts exposures and likes as one member of a consumer group, while there is something to count."""

    def __init__(
        self,
        settings: Settings,
        topics: Topics,
        broker: Broker,
        store: LikeStore,
        stop: threading.Event,
        *,
        runs: Runs,
        stats: AttributionStats,
    ) -> None:
        """Join the group. `stop` ends `run`.

        Raises:
            TransientError: the broker cannot be reached.
        """
        self._poll_timeout_ms = settings.consumer.poll_timeout_ms
        self._store = store
        self._stop = stop
        self._runs = runs
        self._stats = stats
        self._exposures = topics.exposures
        read = (topics.exposures, topics.likes)
        group = f"{settings.consumer.group}-attribution"
        self._source = broker.source(group, read, max_records=_MAX_RECORDS, seek_first=True)
        detector = StallDetector(
            broker, read, self._offsets, patience_s=settings.kafka.group_patience_s
        )
        watch = StoreWatch(store, stats.keeping)
        self._member = GroupMember(self._source, detector, watch, stats, stop)
        self._retry = self._member.retry
        self._positions = AttributionPositions(
            broker, store, self._source, read, topics.experiments
        )
        self._dead_letters = DeadLetters(
            broker, group, topics.dead_letters, self._retry, while_reading=self._source.keep_alive
        )

    def run(self) -> None:
        """Work until there is nothing to count, or the stop; then leave the group.

        Raises:
            StoppedError: the stop came while a server could not be reached.
            SettingsError: a server refuses our credentials.
            ForeignDataError: a key of ours holds data that likewise did not write.
        """
        try:
            while not self._stop.is_set() and self._run_once():
                self._member.rejoin_if_stalled()
        finally:
            self._source.close()
            self._dead_letters.close()
            self._stats.lag = {}

    def _run_once(self) -> bool:
        """Count what the next poll returns; return whether there is more to count."""
        polled = self._retry(lambda: self._source.poll(self._poll_timeout_ms))
        self._positions.follow_assignment()
        records, steps = self._positions.unread(polled)
        may_resume = self._retry(self._positions.may_resume)
        # Read after the records: their writers knew the experiments from the store.
        runs = self._retry(self._runs.to_count)
        if not runs or not may_resume:
            return bool(runs)
        starts = self._retry(lambda: self._positions.resume_unknown(runs))
        if starts:
            self._dead_letters.start(starts)
        self._stats.lag = self._positions.lag()
        if steps:
            try:
                found, letters = decode(
                    records, self._exposures, since_ms=min(run.since_ms for run in runs)
                )
                self._dead_letters.send(letters)
                self._stats.dead_letters += len(letters)
                self._stats.count(runs, self._apply(runs, found, steps))
            except PositionMovedError as moved:
                get_logger().warning("positions moved; resuming from Redis", reason=str(moved))
                self._positions.doubt([*steps, *moved.stored])
            else:
                self._positions.move(steps)
        self._positions.commit()
        return True

    def _apply(
        self, runs: Sequence[Run], records: UserRecords, steps: Mapping[TopicPartition, Step]
    ) -> dict[str, RunChange]:
        """Count the records and make the steps; return what changed.

        Raises:
            PositionMovedError: another member has read the partitions, or Redis has lost writes.
        """
        while not self._stop.is_set():
            try:
                return self._retry(lambda: self._count(runs, records, steps))
            except AttributionMovedError:  # another member has the same users
                self._stats.conflicts += 1
        raise StoppedError

    def _count(
        self, runs: Sequence[Run], records: UserRecords, steps: Mapping[TopicPartition, Step]
    ) -> dict[str, RunChange]:
        users, totals = [*records], totals_needed(runs, records)
        stored = self._store.attribution_state(users, totals)
        windows_before = dict(zip(users, stored.windows, strict=True))
        totals_before = dict(zip(totals, stored.totals, strict=True))
        memory = Memory(
            {user: decode_windows(one) for user, one in windows_before.items()},
            {key: decode_totals(one) for key, one in totals_before.items()},
        )
        read_to_ms = self._positions.read_to_ms(stored.positions)
        changes = fold(runs, records, memory, read_to_ms=read_to_ms)
        windows = {user: encode_windows(one) for user, one in memory.windows.items()}
        totals_after = {key: encode_totals(one) for key, one in memory.totals.items()}
        update = AttributionUpdate(
            steps=steps,
            windows=_cells(windows_before, windows),
            windows_ttl_s=max(map(kept_for_ms, runs)) / 1000 + _OUTAGE_S,
            totals=_cells(totals_before, totals_after),
            counts={key: to_fields(change.tally) for key, change in changes.items()},
            items={
                (key, variant): items
                for key, change in changes.items()
                for variant, items in change.items.items()
                if items
            },
            closed=closed(runs, read_to_ms),
        )
        self._store.apply_attribution(update)
        return changes

    def _offsets(self, partitions: Sequence[TopicPartition]) -> list[int | None]:
        stored = self._store.attribution_positions()
        return [stored[one].offset if one in stored else None for one in partitions]


def _cells(before: Mapping[K, bytes | None], after: Mapping[K, bytes | None]) -> dict[K, Cell]:
    """Return the values that change."""
    return {key: Cell(before[key], one) for key, one in after.items() if one != before[key]}
