"""A Kafka cluster: makes sources, readers and sinks, and answers questions about topics."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import kafka
from kafka import errors as kafka_errors
from kafka.admin import ConfigResource
from kafka.protocol.consumer import IsolationLevel

from likewise.log.kafka import consumers
from likewise.log.kafka.admin import Admin
from likewise.log.kafka.connection import Connection
from likewise.log.kafka.leader_epochs import epoch_ends
from likewise.log.kafka.reading import native
from likewise.log.kafka.sending import KafkaSink, producer
from likewise.log.kafka.topic_sizes import TopicSizes
from likewise.records import TopicPartition

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from likewise.log.kafka.dialect import Dialect
    from likewise.log.kafka.reading import KafkaReader, KafkaSource
    from likewise.log.topics import TopicSpec
    from likewise.settings import KafkaSettings

_COMMITTED = IsolationLevel.READ_COMMITTED


class KafkaBroker:
    """A `likewise.log.port.Broker` over a Kafka cluster. Connects with the first call.

    Thread-safe. While the cluster cannot be reached, a new source, reader or sink fails at once or
    after `request_timeout_ms`. Those made before reconnect by themselves; until then their `poll`
    returns nothing.
    """

    def __init__(self, settings: KafkaSettings, *, client_id: str = "likewise") -> None:
        self._connection = Connection(settings, client_id)
        self._admin = Admin(self._connection)
        self._sizes = TopicSizes(self._topic_sizes)

    def source(
        self, group: str, topics: Iterable[str], *, max_records: int, seek_first: bool = False
    ) -> KafkaSource:
        """See `Broker.source`.

        Raises:
            TransientError: the cluster cannot be reached.
        """
        make = partial(consumers.member, self._connection, group, list(topics), max_records)
        return self._dialect.source(make, self._connection, seek_first=seek_first)

    def reader(self, start: Mapping[TopicPartition, int]) -> KafkaReader:
        """See `Broker.reader`."""
        return consumers.reader(self._connection, start, kind=self._dialect.reader)

    def read(self, start: Mapping[TopicPartition, int], **options: Any) -> KafkaReader:
        """Return a reader with options of kafka-python's consumer."""
        return consumers.reader(self._connection, start, **options)

    def sink(self, *, linger_ms: int = 0) -> KafkaSink:
        """See `Broker.sink`."""
        return KafkaSink(producer(self._connection, linger_ms), self._connection, self._sizes)

    def ensure_topics(self, specs: Iterable[TopicSpec]) -> None:
        """See `Broker.ensure_topics`. Blocks until the new topics have leaders."""
        wanted = {spec.name: spec for spec in specs}
        with self._connection.errors("creating topics"):
            existing = {one["name"] for one in self._describe([*wanted])}
            missing = [spec for name, spec in wanted.items() if name not in existing]
            for spec in missing:
                with suppress(kafka_errors.TopicAlreadyExistsError):  # another service was faster
                    self._create(spec)
            if missing:
                names = [spec.name for spec in missing]
                self._admin.ask(lambda admin: admin.wait_for_topics(names))

    def partitions(self, topic: str) -> list[TopicPartition]:
        """See `Broker.partitions`. Never creates the topic."""
        with self._connection.errors(f"asking for topic {topic}"):
            described = self._describe([topic])
        return [TopicPartition(topic, number) for one in described for number in _numbers(one)]

    def topic_sizes(self) -> dict[str, int]:
        """See `Broker.topic_sizes`."""
        sizes = self._topic_sizes()
        self._sizes.learn(sizes)  # the caller may send to any of them
        return sizes

    def log_id(self, topic: str) -> str | None:
        """See `Broker.log_id`."""
        with self._connection.errors(f"asking for topic {topic}"):
            ids = [one.get("topic_id") for one in self._describe([topic])]
        # Brokers without topic ids (before Kafka 2.8) return none, or zeros.
        return next((str(one) for one in ids if one and set(str(one)) - set("0-")), None)

    def topic_config(self, topic: str) -> Mapping[str, str]:
        """See `Broker.topic_config`. Needs DESCRIBE_CONFIGS, which few users are granted."""
        resource = ConfigResource("topic", topic)
        with self._connection.errors(f"asking for the configuration of {topic}"):
            try:
                found = self._admin.ask(
                    lambda admin: admin.describe_configs([resource], config_filter="all")
                )
            except (kafka_errors.BrokerResponseError, kafka_errors.IncompatibleBrokerVersion):
                return {}
        named = found.get("topic", {}).get(topic, {})
        return {name: str(data["value"]) for name, data in named.items()}

    def epoch_ends(self, epochs: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """See `Broker.epoch_ends`."""
        with self._connection.errors("asking for the ends of leader epochs"):
            return self._admin.ask(lambda admin: epoch_ends(admin, epochs))

    def beginning_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """See `Broker.beginning_offsets`."""
        return self.list_offsets(partitions, kafka.OffsetSpec.EARLIEST)

    def end_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """See `Broker.end_offsets`."""
        return self._dialect.end_offsets(self, list(partitions))

    def least_ends(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """See `Broker.least_ends`."""
        return self.list_offsets(partitions, kafka.OffsetSpec.LATEST, isolation_level=_COMMITTED)

    def held_back(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """See `Broker.held_back`."""
        wanted = list(partitions)
        stable = self.least_ends(wanted)
        # Asked second: what is written in between counts as held back, and that is little.
        ends = self.list_offsets(wanted, kafka.OffsetSpec.LATEST)
        return {partition: max(end - stable[partition], 0) for partition, end in ends.items()}

    def offsets_since(
        self, partitions: Iterable[TopicPartition], time_ms: int
    ) -> dict[TopicPartition, int]:
        """See `Broker.offsets_since`."""
        # To Kafka, negative numbers are no times before 1970 but names of offsets.
        return self._dialect.offsets_since(self, list(partitions), max(time_ms, 0))

    def list_offsets(
        self, partitions: Iterable[TopicPartition], at: Any, **options: Any
    ) -> dict[TopicPartition, int]:
        """Return what ListOffsets answers for a time in ms or an `OffsetSpec`; -1 for none."""
        wanted = {native(partition): at for partition in partitions}
        if not wanted:
            return {}
        with self._connection.errors("asking for offsets"):
            found = self._admin.ask(lambda admin: admin.list_partition_offsets(wanted, **options))
        return {TopicPartition(*partition): offset.offset for partition, offset in found.items()}

    def committed(
        self, group: str, partitions: Iterable[TopicPartition]
    ) -> dict[TopicPartition, int | None]:
        """See `Broker.committed`."""
        name = self._connection.group(group)
        wanted = list(partitions)
        with self._connection.errors(f"asking for the offsets of group {name}"):
            asked = {name: [native(partition) for partition in wanted]}
            found = self._admin.ask(lambda admin: admin.list_group_offsets(asked)).get(name, {})
        offsets = {partition: found.get(native(partition)) for partition in wanted}
        return {
            partition: None if at is None or at.offset < 0 else int(at.offset)
            for partition, at in offsets.items()
        }

    def close(self) -> None:
        """See `Broker.close`."""
        self._admin.close()

    @property
    def request_timeout_s(self) -> float:
        """How long one request may take."""
        return self._connection.settings.request_timeout_ms / 1000

    @property
    def _dialect(self) -> Dialect:
        with self._connection.errors("connecting"):
            return self._admin.dialect

    def _describe(self, topics: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """Describe those that exist, or all topics without names; creates none."""
        described = self._admin.ask(lambda admin: admin.describe_topics(topics))
        return [one for one in described if not one["error_code"]]

    def _topic_sizes(self) -> dict[str, int]:
        with self._connection.errors("asking for topics"):
            return {one["name"]: len(_numbers(one)) for one in self._describe()}

    def _create(self, spec: TopicSpec) -> None:
        creation = {
            "num_partitions": spec.partitions,
            "replication_factor": self._connection.settings.replication_factor,
            "configs": spec.config,
        }
        self._admin.ask(lambda admin: admin.create_topics({spec.name: creation}))


def _numbers(described: Mapping[str, Any]) -> list[int]:
    return sorted(partition["partition_index"] for partition in described["partitions"])
