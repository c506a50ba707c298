"""The consumer's loop: poll, decode, dead-letter, fold, apply, commit.

The position of each partition is in Redis and moves together with the likes, so a batch counts
once whatever fails. Kafka's commits follow, for monitoring only.
See docs/decisions/0001-positions-live-in-redis.md.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from consumers.batches import decode
from consumers.dead_letters import DeadLetters
from consumers.documents import applied_topics, split
from consumers.ordering import Ordering
from consumers.positions import Positions
from consumers.recent import Recent
from consumers.scattering import Scattering
from consumers.stats import ConsumerStats
from likewise.errors import PositionMovedError
from likewise.log.port import held_back
from likewise.log.topics import Topics
from likewise.retry import StoppedError
from likewise.service import tracing
from likewise.service.logs import get_logger
from likewise.service.loop import GroupMember
from likewise.service.stall_detector import StallDetector
from likewise.service.store_watch import StoreWatch

if TYPE_CHECKING:
    import threading

    from consumers.batches import Batch, Decoded
    from consumers.prequential.probes import Probe
    from consumers.prequential.sampler import Sampler
    from likewise.log.port import Broker
    from likewise.records import TopicPartition
    from likewise.settings import Partitioner, Settings
    from likewise.store.port import LikeStore

BEAT_EVERY_S = 1.0


class ConsumerWorker:
    """Applies the events of the likes topic to the store, as one member of a consumer group.

    Any number of workers share the partitions. A worker holds nothing that is not in the log or
    in the store: it can be killed at any time.
    """

    def __init__(
        self,
        settings: Settings,
        broker: Broker,
        store: LikeStore,
        stop: threading.Event,
        *,
        stats: ConsumerStats | None = None,
        sampler: Sampler | None = None,
        patience_s: float | None = None,
    ) -> None:
        """Join the group. `stop` ends `run`; `sampler` probes the model with some of the likes.

        A partition without progress for `patience_s` makes the worker rejoin the group; the
        default is `KafkaSettings.group_patience_s`.

        Raises:
            TransientError: the broker cannot be reached.
        """
        self.stats = stats or ConsumerStats()
        self._settings = settings.consumer
        self._kinds = settings.signals.accepted
        self._stop = stop
        self._sampler = sampler
        self._log = get_logger()
        self._topics = topics = Topics(settings.kafka.topic_prefix)
        applied = applied_topics(broker, topics)
        self._source = broker.source(
            self._settings.group,
            applied,
            max_records=self._settings.max_records,
            seek_first=True,
        )
        patience_s = settings.kafka.group_patience_s if patience_s is None else patience_s
        detector = StallDetector(broker, applied, store.positions, patience_s=patience_s)
        watch = StoreWatch(store, self.stats.keeping)
        self._member = GroupMember(self._source, detector, watch, self.stats, stop)
        self._retry = self._member.retry
        self._positions = Positions(
            broker, store, self._source, topics.likes, check_log_every_s=patience_s / 4
        )
        self._recent = Recent(settings, store, self.stats)
        scattering = self._scattering(broker, store, settings.kafka.partitioner)
        self._ordering = Ordering(store, scattering, self._recent)
        self._dead_letters = DeadLetters(
            broker,
            self._settings.group,
            topics.dead_letters,
            self._retry,
            while_reading=self._beat_while_reading,
        )
        self._next_beat_s = 0.0

    def run(self) -> None:
        """Work until told to stop; then finish the current batch and leave the group.

        Waits for servers that cannot be reached. A batch that is still refused when the stop comes
        is left to the next member, whole.

        Raises:
            SettingsError: a server refuses our credentials or lacks a setting.
            ForeignDataError: a key of ours holds data that likewise did not write.
        """
        self.stats.heartbeat.beat(ready=False)  # from here on, silence is a failure
        self._log.info("consuming", topic=self._topics.likes, group=self._settings.group)
        try:
            while not self._stop.is_set():
                self._recent.turn()
                self._run_once()
                self._member.rejoin_if_stalled()
                self._positions.check_log()
            self._recent.turn(at_once=True)
            with suppress(PositionMovedError):  # the next member of the group notices it, too
                self._retry(lambda: self._positions.level(at_once=True))
            self._positions.commit()
        except StoppedError:
            self._log.warning("stopped while a server was unavailable; no event is lost")
        finally:
            self._source.close()
            self._dead_letters.close()

    def _scattering(self, broker: Broker, store: LikeStore, partitioner: Partitioner) -> Scattering:
        return Scattering(
            broker,
            store,
            self._topics.likes,
            partitioner,
            self.stats,
            self._kinds,
            while_reading=self._beat_while_reading,
        )

    def _run_once(self) -> None:
        polled = self._retry(lambda: self._source.poll(self._settings.poll_timeout_ms))
        self._positions.follow_assignment()
        reached = self._positions.reached()
        batch = self._positions.unapplied(polled, reached)
        self._resume_unknown()
        self._member.beat()
        self.stats.lag = self._positions.lag()
        self.stats.held_back = held_back(self._source, self._topics.likes)
        if not reached or self._positions.commit_is_due:
            self._positions.commit()
        try:
            if reached:
                with tracing.processing(batch):
                    self._process(batch, reached)
                self._retry(self._positions.level)
            else:
                self._retry(self._positions.check_store)
        except PositionMovedError as moved:
            self._log.warning("positions moved; resuming from Redis", reason=str(moved))
            self._positions.doubt([*reached, *moved.stored])

    def _resume_unknown(self) -> None:
        """Resume partitions that are new to us or in doubt."""
        if not self._positions.unknown():
            return
        points = self._retry(self._positions.resume_unknown)
        starts = {partition: point.offset for partition, point in points.items()}
        self._dead_letters.start(starts)
        for partition, point in points.items():
            if point.log_break is not None:
                self.stats.log_breaks[point.log_break.reason] += 1
                self._log.error(
                    point.log_break.event,
                    **partition._asdict(),
                    **point.facts,
                    resume_at=point.offset,
                )

    def _process(self, batch: Batch, reached: dict[TopicPartition, int]) -> None:
        if self._retry(lambda: self._positions.doubt_truncated(batch)):
            return
        events, documents = split(batch, self._topics)
        decoded = decode(events, self._kinds)
        self._dead_letters.send([*decoded.dead_letters, *documents.dead_letters])
        probes = self._probes_of(decoded, events)
        advances = self._positions.advances(reached)
        self._retry(lambda: self._ordering.apply(decoded.parts, advances, documents))
        self._positions.move(reached)
        if batch:
            self.stats.lag = self._positions.lag()
            self.stats.count(batch, decoded, documents)
        if self._sampler is not None:
            self._sampler.submit(probes)

    def _probes_of(self, decoded: Decoded, batch: Batch) -> list[Probe]:
        """Return probes of this batch, whose likes are new only until it is applied.

        None from large batches: they show that the consumer is behind.
        """
        is_behind = 2 * decoded.event_count >= self._settings.max_records
        if not batch or self._sampler is None or is_behind:
            return []
        first = next(iter(batch.values()))[0]
        return self._sampler.probes(decoded.events, decoded.timestamps_ms, seed=first.offset)

    def _beat_while_reading(self) -> None:
        """Stay alive while a part of the log is read again; end that when told to stop."""
        if self._stop.is_set():
            raise StoppedError
        if time.monotonic() >= self._next_beat_s:
            self._next_beat_s = time.monotonic() + BEAT_EVERY_S
            self._source.keep_alive()
            self.stats.heartbeat.beat(ready=self._source.is_member())
