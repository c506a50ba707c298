"""MemoryBroker: the port `Broker` in memory, for tests of what stands on it."""

from __future__ import annotations

import itertools
import threading
import time
import uuid
import zlib
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from likewise.errors import TransientError, UndeliverableError
from likewise.records import TopicPartition
from likewise.testing.memory_group import MemoryGroup, MemorySource
from likewise.testing.memory_log import Cursor, MemoryRecord, PartitionLog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from likewise.errors import LikewiseError
    from likewise.log.topics import TopicSpec
    from likewise.records import Record, Span

# The default of Apache Kafka's `max.message.bytes`, and as there a topic may say otherwise.
_MAX_RECORD_BYTES = 1_048_588
_READER_MAX_RECORDS = 500

Operation = Literal["ask", "commit", "deliver", "poll", "send"]
"""What can be made to fail; `ask` is every question of the broker itself."""


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class MemoryBroker:
    """A broker that forgets everything with the process; passes the suite of the real one.

    Thread-safe. Equal keys go to one partition (by CRC-32, not by Kafka's murmur2: the numbers
    differ from a real broker's); records without a key go round. While `down`, every call raises
    `TransientError`; `fail_with` makes single calls fail.

    >>> broker = MemoryBroker()
    >>> broker.ensure_topics([TopicSpec("likes", 3, {})])
    >>> broker.sink().send("likes", b"{}", key=b"u1").result(1.0)
    (2, 0)
    """

    def __init__(self, *, clock_ms: Callable[[], int] = _now_ms) -> None:
        """Start without topics; `clock_ms` stamps the records (milliseconds since the epoch)."""
        self.changed = threading.Condition()
        self.logs: dict[TopicPartition, PartitionLog] = {}
        self._topics: dict[str, TopicSpec] = {}
        self._ids: dict[str, str] = {}
        self._groups: dict[str, MemoryGroup] = {}
        self._faults: dict[Operation, deque[LikewiseError]] = {}
        self._down = False
        self._clock_ms = clock_ms
        self._turns = itertools.count()

    @property
    def down(self) -> bool:
        """Whether the broker is out of reach; settable."""
        return self._down

    @down.setter
    def down(self, down: bool) -> None:
        with self.changed:
            self._down = down
            self.changed.notify_all()

    def fail_with(self, *errors: LikewiseError, on: Operation) -> None:
        """Let the next calls of this kind fail, one with each of the errors.

        `send` fails before the record is in the log, `deliver` (`Delivery.result`) after it.
        """
        with self.changed:
            self._faults.setdefault(on, deque()).extend(errors)
            self.changed.notify_all()

    def records(self, topic: str) -> list[Record]:
        """Return everything in the topic, partition after partition."""
        with self.changed:
            return [
                record
                for partition in self.partitions_of(topic)
                for record in self.logs[partition].records
            ]

    def delete_records(self, partition: TopicPartition, before: int) -> None:
        """Drop the records below the offset, as retention does."""
        with self.changed:
            self.logs[partition].delete_before(before)

    def lose_tail(self, partition: TopicPartition, end: int) -> None:
        """Drop the records from the offset on, and go on under another leader."""
        with self.changed:
            self.logs[partition].lose_tail(end)

    def remake(self, topic: str) -> None:
        """Delete the topic with all that is in it, and make it anew; readers go on where they are."""
        with self.changed:
            self._ids[topic] = str(uuid.uuid4())
            self.logs.update({partition: PartitionLog() for partition in self.partitions_of(topic)})

    def add_partitions(self, topic: str, partitions: int) -> None:
        """Let the topic have so many partitions from now on; the new ones are empty."""
        with self.changed:
            self._topics[topic] = self._topics[topic]._replace(partitions=partitions)
            for partition in self.partitions_of(topic):
                self.logs.setdefault(partition, PartitionLog())
            for group in self._groups.values():
                group.unsettle()

    def misplace(self, group: str, partition: TopicPartition) -> None:
        """Let no member of the group read the partition, until somebody joins anew."""
        with self.changed:
            self._groups[group].misplace(partition)

    def source(
        self, group: str, topics: Iterable[str], *, max_records: int, seek_first: bool = False
    ) -> MemorySource:
        """See `Broker.source`."""
        with self.answering("ask"):
            joined = self._groups.setdefault(group, MemoryGroup(self))
            return MemorySource(self, joined, topics, max_records, seek_first=seek_first)

    def reader(self, start: Mapping[TopicPartition, int]) -> MemoryReader:
        """See `Broker.reader`."""
        with self.answering("ask"):
            return MemoryReader(self, start)

    def sink(self, *, linger_ms: int = 0) -> MemorySink:
        """See `Broker.sink`; `linger_ms` changes nothing here."""
        with self.answering("ask"):
            return MemorySink(self)

    def ensure_topics(self, specs: Iterable[TopicSpec]) -> None:
        """See `Broker.ensure_topics`."""
        with self.answering("ask"):
            missing = {spec.name: spec for spec in specs if spec.name not in self._topics}
            self._topics.update(missing)
            for name in missing:
                self._ids[name] = str(uuid.uuid4())
                self.logs.update(
                    {partition: PartitionLog() for partition in self.partitions_of(name)}
                )
            for group in self._groups.values() if missing else ():
                group.unsettle()

    def partitions(self, topic: str) -> list[TopicPartition]:
        """See `Broker.partitions`."""
        with self.answering("ask"):
            return self.partitions_of(topic)

    def topic_sizes(self) -> dict[str, int]:
        """See `Broker.topic_sizes`."""
        with self.answering("ask"):
            return {name: spec.partitions for name, spec in self._topics.items()}

    def log_id(self, topic: str) -> str | None:
        """See `Broker.log_id`."""
        with self.answering("ask"):
            return self._ids.get(topic)

    def topic_config(self, topic: str) -> Mapping[str, str]:
        """See `Broker.topic_config`; only what the topic was made with."""
        with self.answering("ask"):
            return self._topics[topic].config if topic in self._topics else {}

    def epoch_ends(self, epochs: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """See `Broker.epoch_ends`."""
        with self.answering("ask"):
            return {p: self._log(p).epoch_end(epoch) for p, epoch in epochs.items()}

    def beginning_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """See `Broker.beginning_offsets`."""
        with self.answering("ask"):
            return {partition: self._log(partition).first for partition in partitions}

    def end_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """See `Broker.end_offsets`."""
        with self.answering("ask"):
            return {partition: self._log(partition).end for partition in partitions}

    def least_ends(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """See `Broker.least_ends`."""
        return self.end_offsets(partitions)

    def held_back(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """See `Broker.held_back`; there are no transactions here."""
        with self.answering("ask"):
            return dict.fromkeys(partitions, 0)

    def offsets_since(
        self, partitions: Iterable[TopicPartition], time_ms: int
    ) -> dict[TopicPartition, int]:
        """See `Broker.offsets_since`."""
        with self.answering("ask"):
            return {partition: self._log(partition).since(time_ms) for partition in partitions}

    def committed(
        self, group: str, partitions: Iterable[TopicPartition]
    ) -> dict[TopicPartition, int | None]:
        """See `Broker.committed`."""
        with self.answering("ask"):
            known = self._groups[group].committed if group in self._groups else {}
            return {partition: known.get(partition) for partition in partitions}

    def close(self) -> None:
        """See `Broker.close`; everything stays, as on a server."""

    def partitions_of(self, topic: str) -> list[TopicPartition]:
        """Return the topic's partitions in order; the lock is held by the caller."""
        spec = self._topics.get(topic)
        return [TopicPartition(topic, number) for number in range(spec.partitions if spec else 0)]

    @contextmanager
    def answering(self, operation: Operation) -> Iterator[None]:
        """Hold the lock, unless the call is to fail."""
        with self.changed:
            self._fail_if_told(operation)
            yield

    def wait_for(self, find: Callable[[], list[Record]], timeout_ms: int) -> list[Record]:
        """Return what `find` finds, asking again whenever anything changes; empty in the end."""
        deadline_s = time.monotonic() + timeout_ms / 1000
        while not (found := find()):
            if not self.changed.wait(deadline_s - time.monotonic()):
                return []
            self._fail_if_told("poll")
        return found

    def append(
        self,
        partition: TopicPartition,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]],
    ) -> int:
        """Put a record into the log and return its offset; the lock is held by the caller.

        Raises:
            UndeliverableError: it is larger than the topic takes.
        """
        spec = self._topics[partition.topic]
        size = len(key or b"") + len(value or b"") + sum(len(n) + len(v) for n, v in headers)
        if size > int(spec.config.get("max.message.bytes", _MAX_RECORD_BYTES)):
            raise UndeliverableError(f"{partition.topic} takes no record of {size} bytes")
        log = self.logs[partition]
        offset = log.end
        log.records.append(
            MemoryRecord(
                *partition, offset, self._clock_ms(), key, value, tuple(headers), log.epoch
            )
        )
        self.changed.notify_all()
        return offset

    def choose_partition(self, topic: str, key: bytes | None, wanted: int | None) -> TopicPartition:
        """Return where a record goes; the lock is held by the caller.

        Raises:
            UndeliverableError: there is no such topic or partition.
        """
        partitions = self.partitions_of(topic)
        if not partitions:
            raise UndeliverableError(f"there is no topic {topic}")
        if wanted is None:
            turn = next(self._turns) if key is None else zlib.crc32(key)
            return partitions[turn % len(partitions)]
        if wanted not in range(len(partitions)):
            raise UndeliverableError(f"{topic} has no partition {wanted}")
        return partitions[wanted]

    def _log(self, partition: TopicPartition) -> PartitionLog:
        if partition not in self.logs:
            raise UndeliverableError(f"{partition.topic} has no partition {partition.partition}")
        return self.logs[partition]

    def _fail_if_told(self, operation: Operation) -> None:
        if self._down:
            raise TransientError("the broker is down").of("kafka")
        if self._faults.get(operation):
            raise self._faults[operation].popleft()


class MemoryReader:
    """A `likewise.log.port.LogReader`."""

    def __init__(self, broker: MemoryBroker, start: Mapping[TopicPartition, int]) -> None:
        self._broker = broker
        self._cursor = Cursor(broker.logs)
        self._cursor.offsets.update(start)

    def poll(self, timeout_ms: int) -> list[Record]:
        """See `LogReader.poll`."""
        with self._broker.answering("poll"):
            return self._broker.wait_for(self._next_records, timeout_ms)

    def spans(self) -> dict[TopicPartition, Span]:
        """See `LogReader.spans`."""
        return dict(self._cursor.spans)

    def close(self) -> None:
        """See `LogReader.close`."""

    def _next_records(self) -> list[Record]:
        return self._cursor.take(_READER_MAX_RECORDS)


class MemorySink:
    """A `likewise.log.port.Sink` that delivers at once."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker

    def send(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Sequence[tuple[str, bytes]] = (),
        partition: int | None = None,
    ) -> MemoryDelivery:
        """See `Sink.send`."""
        with self._broker.answering("send"):
            chosen = self._broker.choose_partition(topic, key, partition)
            offset = self._broker.append(chosen, key, value, headers)
        return MemoryDelivery(self._broker, chosen.partition, offset)

    def flush(self, timeout_s: float) -> None:
        """See `Sink.flush`."""
        with self._broker.answering("deliver"):
            return

    def close(self) -> None:
        """See `Sink.close`."""


class MemoryDelivery:
    """A `likewise.log.port.Delivery` of a record that has arrived."""

    def __init__(self, broker: MemoryBroker, partition: int, offset: int) -> None:
        self._broker = broker
        self._delivered = partition, offset

    def result(self, timeout_s: float) -> tuple[int, int]:
        """See `Delivery.result`."""
        with self._broker.answering("deliver"):
            return self._delivered
