"""The consumer's loop: poll, decode, fold, apply, commit.

How far each partition is applied stands in Redis and moves together with the likes, so a batch
counts once whatever happens; Kafka's commits follow for monitoring and are never trusted over it.
See docs/decisions/0001-positions-live-in-redis.md.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from contextlib import suppress
from operator import attrgetter
from typing import TYPE_CHECKING

from consumers.batches import by_partition, decode, oldest_ms
from consumers.dead_lettered import DeadLettered
from consumers.epochs import Epochs, truncated
from consumers.ordering import Ordering
from consumers.resume_points import remade, take_up
from consumers.stats import ConsumerStats
from likewise.errors import PositionMovedError, TransientError, UndeliverableError
from likewise.log.port import held_back
from likewise.messages.dead_letters import send_dead_letters
from likewise.retry import StoppedError
from likewise.service.logs import get_logger
from likewise.service.loop import GroupMember, log_dead_letters
from likewise.service.stall_detector import StallDetector
from likewise.service.store_watch import StoreWatch
from likewise.store.port import Advance

if TYPE_CHECKING:
    import threading
    from collections.abc import Container, Iterable, Sequence

    from consumers.batches import Batch, Decoded, Part
    from consumers.prequential.questions import Question
    from consumers.prequential.sampler import Sampler
    from likewise.log.port import Broker, Sink
    from likewise.log.topics import Topics
    from likewise.messages.dead_letters import DeadLetter
    from likewise.records import Record, TopicPartition
    from likewise.settings import ConsumerSettings, Partitioner
    from likewise.store.port import LikeStore

COMMIT_EVERY_S = 0.25
SIGN_OF_LIFE_EVERY_S = 1.0


class ConsumerWorker:
    """Applies the events of the likes topic to the store, as one member of a consumer group.

    Any number of workers share the partitions. A worker holds nothing that is not in the log or
    in the store: it can be killed at any instant.
    """

    def __init__(
        self,
        broker: Broker,
        store: LikeStore,
        topics: Topics,
        settings: ConsumerSettings,
        *,
        stop: threading.Event,
        stats: ConsumerStats | None = None,
        sampler: Sampler | None = None,
        patience_s: float = 60.0,
        partitioner: Partitioner = "murmur2",
    ) -> None:
        """Join the group; `stop` is what will end `run`, `sampler` asks about some of the likes.

        Where events are there and nobody reads them for `patience_s`, the group is joined anew.

        Raises:
            TransientError: the broker is out of reach.
        """
        self.stats = stats or ConsumerStats()
        self._broker = broker
        self._store = store
        self._topics = topics
        self._settings = settings
        self._stop = stop
        self._sampler = sampler
        self._log = get_logger()
        self._source = broker.source(
            settings.group, [topics.likes], max_records=settings.max_records, seek_first=True
        )
        self._rebalances = 0
        self._member = GroupMember(
            self._source,
            StallDetector(broker, topics.likes, store.positions, patience_s=patience_s),
            StoreWatch(store, self.stats.keeping),
            self.stats,
            stop,
        )
        self._retry = self._member.retry
        self._look_every_s = patience_s / 4
        self._next_look_s = time.monotonic() + self._look_every_s
        self._ordering = Ordering(
            broker,
            store,
            topics.likes,
            partitioner,
            self.stats,
            while_reading=self._stay_while_reading,
        )
        self._epochs = Epochs(broker, store)
        self._dead_lettered = DeadLettered(
            broker,
            settings.group,
            topics.dead_letters,
            while_reading=self._stay_while_reading,
        )
        self._next_sign_s = 0.0
        self._dead_letters: Sink | None = None  # made for the first one
        # How far our partitions are applied. Redis holds the same, or refuses our batch.
        self._applied: dict[TopicPartition, int] = {}
        # What Kafka is to hear: one commit for many batches, since it waits for the broker.
        self._uncommitted: dict[TopicPartition, int] = {}
        self._next_commit_s = 0.0

    def run(self) -> None:
        """Work until told to stop; then finish the batch in hand and leave the group.

        Servers out of reach are waited for. A batch that is still refused when the stop comes
        is left to the next member, whole.

        Raises:
            SettingsError: a server refuses our credentials or lacks a setting.
            ForeignDataError: Redis holds something else under our keys.
        """
        self.stats.heartbeat.beat(ready=False)  # from here on, silence is a fault
        self._log.info("consuming", topic=self._topics.likes, group=self._settings.group)
        try:
            while not self._stop.is_set():
                self._run_once()
                self._member.rejoin_if_stalled()
                self._check_logs()
            self._commit()
        except StoppedError:
            self._log.warning("stopped while a server was out of reach; nothing is lost")
        finally:
            self._source.close()
            if self._dead_letters is not None:
                self._dead_letters.close()

    def _run_once(self) -> None:
        polled = self._retry(lambda: self._source.poll(self._settings.poll_timeout_ms))
        self._forget_after_a_rebalance()
        reached = self._reached()
        batch = self._unapplied(polled, reached)
        self._take_up_new_partitions()
        self._member.beat()
        self.stats.lag = self._lag()
        self.stats.held_back = held_back(self._source)
        if not reached or time.monotonic() >= self._next_commit_s:
            self._commit()
        if not reached:
            self._check_positions()
            return
        if cut := self._retry(lambda: self._epochs.cut(batch, self._applied)):
            for partition in cut:  # what was read of it does not follow on what is applied
                del self._applied[partition]
            return
        decoded = decode(batch)
        self._dead_letter(decoded.dead_letters)
        questions = self._questions_on(decoded, batch)
        try:
            self._apply(decoded.parts, reached)
        except PositionMovedError as moved:
            self._doubt([*reached, *moved.stored], moved)
        else:
            self._uncommitted |= reached
            self._count(decoded, batch)
            self._ask(questions)

    def _forget_after_a_rebalance(self) -> None:
        """Take up all partitions again: another member may have read ours meanwhile."""
        if self._rebalances != self._source.rebalances():
            self._rebalances = self._source.rebalances()
            self._applied.clear()
        for lost in self._applied.keys() - self._source.assignment():
            del self._applied[lost]

    def _reached(self) -> dict[TopicPartition, int]:
        """Return how far the poll went in partitions where it went on from what is applied."""
        reached: dict[TopicPartition, int] = {}
        for partition, span in self._source.spans().items():
            applied = self._applied.get(partition)
            if applied is None:
                continue
            if span.start <= applied < span.end:
                reached[partition] = span.end
            else:
                # The log lacks something there, or is another one: look where to go on.
                del self._applied[partition]
        return reached

    def _unapplied(self, polled: Iterable[Record], reached: Container[TopicPartition]) -> Batch:
        """Return what follows on what is applied; of other partitions it is read again."""
        batch: Batch = {}
        for partition, records in by_partition(polled).items():
            if partition in reached:
                applied = self._applied[partition]
                if new := records[bisect_left(records, applied, key=attrgetter("offset")) :]:
                    batch[partition] = new
        return batch

    def _take_up_new_partitions(self) -> None:
        """Read partitions that have come to us from where Redis really is."""
        if new := sorted(self._source.assignment() - self._applied.keys()):
            self._retry(lambda: self._find_starts(new))

    def _find_starts(self, partitions: Sequence[TopicPartition]) -> None:
        try:
            starts = take_up(self._broker, self._store, partitions)
        except UndeliverableError as gone:  # deleted a moment ago, perhaps to be made anew
            raise TransientError(str(gone)).of("kafka") from gone
        self._epochs.forget(starts)
        self._dead_lettered.open({partition: start.offset for partition, start in starts.items()})
        for partition, start in starts.items():
            if start.warning is not None:
                self._log.error(start.warning, **partition._asdict())
                self.stats.log_breaks[str(start.reason)] += 1
            self._source.seek(partition, start.offset)
            self._applied[partition] = self._uncommitted[partition] = start.offset

    def _dead_letter(self, dead_letters: Sequence[DeadLetter]) -> None:
        """Return once the broker has the dead letters: only then may their positions move."""
        if not dead_letters:
            return
        new = self._retry(lambda: self._dead_lettered.without_known(dead_letters))
        if not new:
            return
        log_dead_letters(new)
        self._retry(lambda: self._send(new))

    def _send(self, dead_letters: Sequence[DeadLetter]) -> None:
        if self._dead_letters is None:
            self._dead_letters = self._broker.sink()
        send_dead_letters(self._dead_letters, self._topics.dead_letters, dead_letters)

    def _questions_on(self, decoded: Decoded, batch: Batch) -> list[Question]:
        """Return what to ask of the model about this batch; only now are its likes still new.

        A consumer that is behind, as large batches show, has better things to do.
        """
        if (
            not batch
            or self._sampler is None
            or 2 * decoded.event_count >= self._settings.max_records
        ):
            return []
        first = next(iter(batch.values()))[0]
        return self._sampler.look(decoded.events, decoded.timestamps_ms, seed=first.offset)

    def _ask(self, questions: Sequence[Question]) -> None:
        """Put the questions, now that the batch counts: one that did not will be read again."""
        if self._sampler is not None:
            self._sampler.ask(questions)

    def _apply(self, parts: Sequence[Part], reached: dict[TopicPartition, int]) -> None:
        following = self._applied | reached
        # Partitions without events are compared as well: Redis may have lost writes of theirs.
        advances = {
            partition: Advance(applied, following[partition])
            for partition, applied in self._applied.items()
        }
        self._retry(lambda: self._ordering.apply(parts, advances))
        self._applied = following

    def _stay_while_reading(self) -> None:
        """Show that we live while a stretch of the log is read again; end it when told to stop."""
        if self._stop.is_set():
            raise StoppedError
        if time.monotonic() >= self._next_sign_s:
            self._next_sign_s = time.monotonic() + SIGN_OF_LIFE_EVERY_S
            self._source.keep_alive()
            self.stats.heartbeat.beat(ready=self._source.is_member())

    def _check_logs(self) -> None:
        """Notice, now and then, that the topic was deleted and recreated, or lost its tail."""
        if time.monotonic() < self._next_look_s:
            return
        self._next_look_s = time.monotonic() + self._look_every_s
        with suppress(TransientError):
            for partition in remade(self._broker, self._store, [*self._applied]):
                del self._applied[partition]
            for partition in truncated(self._broker, self._store, self._applied):
                del self._applied[partition]

    def _check_positions(self) -> None:
        """Notice, though nothing comes in, that Redis has lost its last writes."""
        partitions = list(self._applied)
        stored = dict(
            zip(partitions, self._retry(lambda: self._store.positions(partitions)), strict=True)
        )
        if stored != self._applied:
            moved = {p: at for p, at in stored.items() if at != self._applied[p]}
            self._doubt(moved, PositionMovedError(moved))

    def _doubt(self, partitions: Iterable[TopicPartition], moved: PositionMovedError) -> None:
        """Take the partitions up anew in the next turn, from where Redis says that it is."""
        self._log.warning("events are read again", reason=str(moved))
        for partition in partitions:
            self._applied.pop(partition, None)

    def _lag(self) -> dict[str, int]:
        """Return what is left of each partition, as far as the last poll heard of its end."""
        ends = self._source.known_ends()
        return {
            str(at.partition): max(ends[at] - applied, 0)
            for at, applied in self._applied.items()
            if at in ends
        }

    def _count(self, decoded: Decoded, batch: Batch) -> None:
        if not batch:
            return
        self.stats.on_batch(sum(map(len, batch.values())))
        if (since_ms := oldest_ms(batch)) > 0:
            self.stats.on_delay_s(max(time.time() - since_ms / 1000, 0.0))
        self.stats.lag = self._lag()
        self.stats.batches += 1
        self.stats.events_applied += decoded.event_count
        self.stats.dead_letters += len(decoded.dead_letters)
        self.stats.unclear_times += len(decoded.unclear_times)

    def _commit(self) -> None:
        if not self._uncommitted:
            return
        self._next_commit_s = time.monotonic() + COMMIT_EVERY_S
        try:
            self._source.commit(self._uncommitted)
        except TransientError as error:
            # Redis has the positions; a later commit makes up for this one.
            self._log.warning("the offsets were not committed", reason=str(error))
        else:
            self._uncommitted = {}
