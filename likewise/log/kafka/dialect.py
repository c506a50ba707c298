"""The questions that Apache Kafka answers as documented and other brokers may not.

`likewise.log.kafka.tansu` replaces them for the embedded broker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from likewise.log.kafka.reading import KafkaReader, KafkaSource

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from likewise.records import TopicPartition


class Cluster(Protocol):
    """What a dialect asks of a `KafkaBroker`."""

    @property
    def request_timeout_s(self) -> float: ...
    def beginning_offsets(
        self, partitions: Iterable[TopicPartition]
    ) -> dict[TopicPartition, int]: ...
    def least_ends(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]: ...
    def list_offsets(
        self, partitions: Iterable[TopicPartition], at: Any, **options: Any
    ) -> dict[TopicPartition, int]: ...
    def read(self, start: Mapping[TopicPartition, int], **options: Any) -> KafkaReader: ...


class Dialect:
    """How Apache Kafka is asked."""

    source: type[KafkaSource] = KafkaSource
    """The class of a group's members."""
    reader: type[KafkaReader] = KafkaReader
    """The class of readers outside any group."""

    def end_offsets(
        self, broker: Cluster, partitions: Sequence[TopicPartition]
    ) -> dict[TopicPartition, int]:
        """See `Broker.end_offsets`."""
        return broker.least_ends(partitions)

    def offsets_since(
        self, broker: Cluster, partitions: Sequence[TopicPartition], time_ms: int
    ) -> dict[TopicPartition, int]:
        """See `Broker.offsets_since`."""
        ends, found = broker.least_ends(partitions), broker.list_offsets(partitions, time_ms)
        # Kafka returns -1 where no record is that new.
        return {one: found[one] if found[one] >= 0 else ends[one] for one in partitions}
