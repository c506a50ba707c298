"""The state of a cluster in memory, behind one lock: topics, their logs, and faults on demand."""

from __future__ import annotations

import itertools
import threading
import time
import uuid
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from likewise.errors import TransientError, UndeliverableError
from likewise.records import TopicPartition
from likewise.testing.memory_log import MemoryRecord, PartitionLog

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable, Iterator, Sequence

    from likewise.errors import LikewiseError
    from likewise.log.topics import TopicSpec
    from likewise.records import Record

# The default of Apache Kafka's `max.message.bytes`; a topic's configuration replaces it.
_MAX_RECORD_BYTES = 1_048_588

Operation = Literal["ask", "commit", "deliver", "poll", "send"]
"""What can be made to fail; `ask` is every question to the broker itself."""


class MemoryCluster:
    """What brokers, groups, readers and sinks share. Callers hold the lock, `changed`."""

    def __init__(self, clock_ms: Callable[[], int]) -> None:
        self.changed = threading.Condition()
        self.topics: dict[str, TopicSpec] = {}
        self.log_ids: dict[str, str] = {}
        self.logs: dict[TopicPartition, PartitionLog] = {}
        self.faults: dict[Operation, deque[LikewiseError]] = {}
        self.down = False
        self._clock_ms = clock_ms
        self._turns = itertools.count()

    @contextmanager
    def answering(self, operation: Operation) -> Iterator[None]:
        """Hold the lock for the length of a `with` block, unless the call is to fail.

        Raises:
            TransientError: the cluster is down.
            LikewiseError: the fault that was set for this operation.
        """
        with self.changed:
            self._raise_fault(operation)
            yield

    def wait_for(self, find: Callable[[], list[Record]], timeout_ms: int) -> list[Record]:
        """Return what `find` finds, called again after each change; empty after the timeout."""
        deadline_s = time.monotonic() + timeout_ms / 1000
        while not (found := find()):
            if not self.changed.wait(deadline_s - time.monotonic()):
                return []
            self._raise_fault("poll")
        return found

    def create(self, spec: TopicSpec) -> None:
        """Add an empty topic, or replace one of the same name by an empty one with another id."""
        self.topics[spec.name] = spec
        self.log_ids[spec.name] = str(uuid.uuid4())
        self.logs.update({one: PartitionLog() for one in self.partitions_of(spec.name)})

    def partitions_of(self, topic: str) -> list[TopicPartition]:
        """Return the topic's partitions in order; empty without such a topic."""
        spec = self.topics.get(topic)
        return [TopicPartition(topic, number) for number in range(spec.partitions if spec else 0)]

    def log(self, partition: TopicPartition) -> PartitionLog:
        """Return the log of a partition.

        Raises:
            UndeliverableError: there is no such partition.
        """
        if partition not in self.logs:
            raise UndeliverableError(f"{partition.topic} has no partition {partition.partition}")
        return self.logs[partition]

    def choose_partition(self, topic: str, key: bytes | None, wanted: int | None) -> TopicPartition:
        """Return the partition that a record goes to.

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

    def append(
        self,
        partition: TopicPartition,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]],
    ) -> int:
        """Append a record to the log and return its offset.

        Raises:
            UndeliverableError: it is larger than the topic allows.
        """
        config = self.topics[partition.topic].config
        size = len(key or b"") + len(value or b"") + sum(len(n) + len(v) for n, v in headers)
        if size > int(config.get("max.message.bytes", _MAX_RECORD_BYTES)):
            raise UndeliverableError(f"{partition.topic} takes no record of {size} bytes")
        log = self.logs[partition]
        offset, time_ms = log.end, self._clock_ms()
        log.records.append(
            MemoryRecord(*partition, offset, time_ms, key, value, tuple(headers), log.epoch)
        )
        self.changed.notify_all()
        return offset

    def _raise_fault(self, operation: Operation) -> None:
        if self.down:
            raise TransientError("the broker is down").of("kafka")
        if self.faults.get(operation):
            raise self.faults[operation].popleft()
