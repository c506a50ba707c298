"""MemoryBroker: the port `Broker` in memory, for tests of what uses it."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

from likewise.testing.memory_cluster import MemoryCluster
from likewise.testing.memory_group import MemoryGroup, MemorySource
from likewise.testing.memory_log import PartitionLog
from likewise.testing.memory_streams import MemoryReader, MemorySink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from likewise.errors import LikewiseError
    from likewise.log.topics import TopicSpec
    from likewise.records import Record, TopicPartition
    from likewise.testing.memory_cluster import Operation


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class MemoryBroker:
    """A broker whose records end with the process; passes the contract suite of the real one.

    Thread-safe. Equal keys go to one partition (by CRC-32, not by Kafka's murmur2, so the numbers
    differ from a real broker's). Records without a key take turns. While `down`, every call raises
    `TransientError`; `fail_with` makes single calls fail.

    >>> broker = MemoryBroker()
    >>> broker.ensure_topics([TopicSpec("likes", 3, {})])
    >>> broker.sink().send("likes", b"{}", key=b"u1").result(1.0)
    (2, 0)
    """

    def __init__(self, *, clock_ms: Callable[[], int] = _now_ms) -> None:
        """Start without topics; `clock_ms` stamps the records (milliseconds since the epoch)."""
        self.cluster = MemoryCluster(clock_ms)
        self._groups: dict[str, MemoryGroup] = {}

    @property
    def down(self) -> bool:
        """Whether the broker cannot be reached; settable."""
        return self.cluster.down

    @down.setter
    def down(self, down: bool) -> None:
        with self.cluster.changed:
            self.cluster.down = down
            self.cluster.changed.notify_all()

    def fail_with(self, *errors: LikewiseError, on: Operation) -> None:
        """Make the next calls of this kind fail, one with each of the errors.

        `send` fails before the record is in the log, `deliver` (`Delivery.result`) after it.
        """
        with self.cluster.changed:
            self.cluster.faults.setdefault(on, deque()).extend(errors)
            self.cluster.changed.notify_all()

    def records(self, topic: str) -> list[Record]:
        """Return everything in the topic, partition after partition."""
        with self.cluster.changed:
            partitions = self.cluster.partitions_of(topic)
            return [record for one in partitions for record in self.cluster.logs[one].records]

    def delete_records(self, partition: TopicPartition, before: int) -> None:
        """Delete the records below the offset, as retention does."""
        with self.cluster.changed:
            self.cluster.logs[partition].delete_before(before)

    def lose_tail(self, partition: TopicPartition, end: int) -> None:
        """Delete the records from the offset on and elect another leader, as after data loss."""
        with self.cluster.changed:
            self.cluster.logs[partition].lose_tail(end)

    def delete_topic(self, topic: str) -> None:
        """Delete the topic with its records."""
        with self.cluster.changed:
            del self.cluster.topics[topic]

    def recreate_topic(self, topic: str) -> None:
        """Delete the topic with its records and create it again; readers keep their offsets."""
        with self.cluster.changed:
            self.cluster.create(self.cluster.topics[topic])

    def add_partitions(self, topic: str, partitions: int) -> None:
        """Let the topic have this many partitions from now on; the new ones are empty."""
        with self.cluster.changed:
            topics = self.cluster.topics
            topics[topic] = topics[topic]._replace(partitions=partitions)
            for partition in self.cluster.partitions_of(topic):
                self.cluster.logs.setdefault(partition, PartitionLog())
            self._rebalance()

    def unassign(self, group: str, partition: TopicPartition) -> None:
        """Let no member of the group read the partition until the group rebalances."""
        with self.cluster.changed:
            self._groups[group].unassign(partition)

    def source(
        self, group: str, topics: Iterable[str], *, max_records: int, seek_first: bool = False
    ) -> MemorySource:
        """See `Broker.source`."""
        with self.cluster.answering("ask"):
            joined = self._groups.setdefault(group, MemoryGroup(self.cluster))
            return MemorySource(self.cluster, joined, topics, max_records, seek_first=seek_first)

    def reader(self, start: Mapping[TopicPartition, int]) -> MemoryReader:
        """See `Broker.reader`."""
        with self.cluster.answering("ask"):
            return MemoryReader(self.cluster, start)

    def sink(self, *, linger_ms: int = 0) -> MemorySink:
        """See `Broker.sink`; `linger_ms` has no effect here."""
        with self.cluster.answering("ask"):
            return MemorySink(self.cluster)

    def ensure_topics(self, specs: Iterable[TopicSpec]) -> None:
        """See `Broker.ensure_topics`."""
        with self.cluster.answering("ask"):
            missing = [spec for spec in specs if spec.name not in self.cluster.topics]
            for spec in missing:
                self.cluster.create(spec)
            if missing:
                self._rebalance()

    def partitions(self, topic: str) -> list[TopicPartition]:
        """See `Broker.partitions`."""
        with self.cluster.answering("ask"):
            return self.cluster.partitions_of(topic)

    def topic_sizes(self) -> dict[str, int]:
        """See `Broker.topic_sizes`."""
        with self.cluster.answering("ask"):
            return {name: spec.partitions for name, spec in self.cluster.topics.items()}

    def log_id(self, topic: str) -> str | None:
        """See `Broker.log_id`."""
        with self.cluster.answering("ask"):
            return self.cluster.log_ids.get(topic)

    def topic_config(self, topic: str) -> Mapping[str, str]:
        """See `Broker.topic_config`; only what the topic was created with."""
        with self.cluster.answering("ask"):
            return self.cluster.topics[topic].config if topic in self.cluster.topics else {}

    def epoch_ends(self, epochs: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """See `Broker.epoch_ends`."""
        with self.cluster.answering("ask"):
            return {p: self.cluster.log(p).epoch_end(epoch) for p, epoch in epochs.items()}

    def beginning_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """See `Broker.beginning_offsets`."""
        with self.cluster.answering("ask"):
            return {partition: self.cluster.log(partition).first for partition in partitions}

    def end_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """See `Broker.end_offsets`."""
        with self.cluster.answering("ask"):
            return {partition: self.cluster.log(partition).end for partition in partitions}

    def least_ends(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """See `Broker.least_ends`."""
        return self.end_offsets(partitions)

    def held_back(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """See `Broker.held_back`; there are no transactions here."""
        with self.cluster.answering("ask"):
            return dict.fromkeys(partitions, 0)

    def offsets_since(
        self, partitions: Iterable[TopicPartition], time_ms: int
    ) -> dict[TopicPartition, int]:
        """See `Broker.offsets_since`."""
        with self.cluster.answering("ask"):
            return {
                partition: self.cluster.log(partition).since(time_ms) for partition in partitions
            }

    def committed(
        self, group: str, partitions: Iterable[TopicPartition]
    ) -> dict[TopicPartition, int | None]:
        """See `Broker.committed`."""
        with self.cluster.answering("ask"):
            known = self._groups[group].committed if group in self._groups else {}
            return {partition: known.get(partition) for partition in partitions}

    def close(self) -> None:
        """See `Broker.close`; records and topics stay, as on a server."""

    def _rebalance(self) -> None:
        for group in self._groups.values():
            group.rebalance()
