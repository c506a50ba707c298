"""A Kafka cluster: makes sources, readers and sinks, and answers questions about topics."""

from __future__ import annotations

import threading
import time
from contextlib import closing, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import kafka
from kafka import errors as kafka_errors
from kafka.admin import ConfigResource
from kafka.protocol.consumer import IsolationLevel

from likewise.log.kafka.connection import MAX_RECORD_BYTES, Connection
from likewise.log.kafka.fetching import Consumer
from likewise.log.kafka.leader_epochs import epoch_ends
from likewise.log.kafka.partitioning import KeyPartitioner
from likewise.log.kafka.reading import KafkaReader, KafkaSource, native
from likewise.log.kafka.sending import KafkaSink
from likewise.log.kafka.topic_sizes import TopicSizes
from likewise.records import TopicPartition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from likewise.log.kafka.shares import Shares
    from likewise.log.topics import TopicSpec
    from likewise.settings import KafkaSettings


# New partitions are noticed with the next refresh of the metadata; kafka-python's 5 min are long.
_METADATA_MAX_AGE_MS = 10_000
# A group leader that does not know a topic's partitions when it shares them out assigns none, and
# may never do so again. Of a new topic brokers tell a moment after they made it.
_METADATA_PATIENCE_S = 5.0
_METADATA_POLL_S = 0.05
_COMMITTED = IsolationLevel.READ_COMMITTED
_MAX_FETCH_BYTES = 32 * 1024 * 1024
_END_OF_TIME_MS = 2**62


class KafkaBroker:
    """A `likewise.log.port.Broker` over a Kafka cluster. Connects when first asked something.

    Thread-safe. While the cluster is out of reach, making a source, reader or sink fails at once
    or after `request_timeout_ms`; those that were made before reconnect by themselves, and their
    `poll` returns nothing meanwhile.
    """

    def __init__(self, settings: KafkaSettings, *, client_id: str = "likewise") -> None:
        self._connection = Connection(settings, client_id)
        self._admin: Any = None
        self._admin_lock = threading.Lock()
        self._sizes = TopicSizes(self._topic_sizes)

    def source(
        self, group: str, topics: Iterable[str], *, max_records: int, seek_first: bool = False
    ) -> KafkaSource:
        """See `Broker.source`.

        Raises:
            TransientError: the cluster is out of reach.
        """
        make = partial(self._member, group, list(topics), max_records)
        return KafkaSource(make, self._connection, seek_first=seek_first)

    def reader(self, start: Mapping[TopicPartition, int]) -> KafkaReader:
        """See `Broker.reader`."""
        return self._read(start)

    def sink(self, *, linger_ms: int = 0) -> KafkaSink:
        """See `Broker.sink`."""
        compression = self._connection.settings.compression
        with self._connection.errors("connecting"):
            self._connection.require_reachable()
            producer = kafka.KafkaProducer(
                acks="all",
                # An idempotent producer never recovers from a broker that lost its state. With one
                # request in flight the order holds as well, and what is written twice counts once.
                enable_idempotence=False,
                max_in_flight_requests_per_connection=1,
                allow_auto_create_topics=False,
                metrics_enabled=False,
                compression_type=None if compression == "none" else compression,
                linger_ms=linger_ms,
                batch_size=128 * 1024,
                max_request_size=MAX_RECORD_BYTES,
                partitioner=KeyPartitioner(self._connection.settings.partitioner),
                max_block_ms=self._connection.settings.request_timeout_ms,
                **self._connection.options,
            )
        return KafkaSink(producer, self._connection, self._sizes)

    def ensure_topics(self, specs: Iterable[TopicSpec]) -> None:
        """See `Broker.ensure_topics`. Blocks until the new topics have leaders."""
        with self._connection.errors("creating topics"):
            existing = self._partition_numbers()
            missing = {spec.name: spec for spec in specs if spec.name not in existing}
            for spec in missing.values():
                with suppress(kafka_errors.TopicAlreadyExistsError):  # another service was quicker
                    self._create(spec)
            if missing:
                self._ask(lambda admin: admin.wait_for_topics(list(missing)))

    def partitions(self, topic: str) -> list[TopicPartition]:
        """See `Broker.partitions`. Never creates the topic."""
        with self._connection.errors(f"asking for topic {topic}"):
            numbers = self._partition_numbers().get(topic, [])
        return [TopicPartition(topic, number) for number in numbers]

    def topic_sizes(self) -> dict[str, int]:
        """See `Broker.topic_sizes`."""
        sizes = self._topic_sizes()
        self._sizes.learn(sizes)  # whoever asks may send to what they find
        return sizes

    def _topic_sizes(self) -> dict[str, int]:
        with self._connection.errors("asking for topics"):
            return {name: len(numbers) for name, numbers in self._partition_numbers().items()}

    def log_id(self, topic: str) -> str | None:
        """See `Broker.log_id`."""
        with self._connection.errors(f"asking for topic {topic}"):
            ids = [one.get("topic_id") for one in self._descriptions() if one["name"] == topic]
        # Brokers that know no ids (before Kafka 2.8) give none, or zeros.
        return next((str(one) for one in ids if one and set(str(one)) - set("0-")), None)

    def topic_config(self, topic: str) -> Mapping[str, str]:
        """See `Broker.topic_config`. Asking takes DESCRIBE_CONFIGS, which few users are granted."""
        resource = ConfigResource("topic", topic)
        with self._connection.errors(f"asking for the configuration of {topic}"):
            try:
                found = self._ask(
                    lambda admin: admin.describe_configs([resource], config_filter="all")
                )
            except (kafka_errors.BrokerResponseError, kafka_errors.IncompatibleBrokerVersion):
                return {}
        named = found.get("topic", {}).get(topic, {})
        return {name: str(data["value"]) for name, data in named.items()}

    def epoch_ends(self, epochs: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """See `Broker.epoch_ends`."""
        with self._connection.errors("asking where logs end"):
            ends: dict[TopicPartition, int] = self._ask(lambda admin: epoch_ends(admin, epochs))
        return ends

    def beginning_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """See `Broker.beginning_offsets`."""
        return self._offsets(partitions, kafka.OffsetSpec.EARLIEST)

    def end_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """See `Broker.end_offsets`."""
        listed = self.least_ends(partitions)
        # Tansu counts the last batch as one record there; a fetch tells where the log really ends.
        with closing(self._read(listed, fetch_max_wait_ms=1)) as reader:
            return reader.end_offsets(self._connection.settings.request_timeout_ms)

    def least_ends(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """See `Broker.least_ends`."""
        return self._offsets(partitions, kafka.OffsetSpec.LATEST, isolation_level=_COMMITTED)

    def held_back(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """See `Broker.held_back`."""
        wanted = list(partitions)
        stable = self.least_ends(wanted)
        # Asked last, for a log that grows meanwhile; what comes in between is not held back by much.
        ends = self._offsets(wanted, kafka.OffsetSpec.LATEST)
        return {partition: max(end - stable[partition], 0) for partition, end in ends.items()}

    def offsets_since(
        self, partitions: Iterable[TopicPartition], time_ms: int
    ) -> dict[TopicPartition, int]:
        """See `Broker.offsets_since`; Tansu looks up when records came, so there it is the oldest."""
        wanted = list(partitions)
        beginnings = self.beginning_offsets(wanted)
        # Nothing is as new as this: Kafka finds no offset (-1), Tansu the first one.
        if any(offset >= 0 for offset in self._offsets(wanted, _END_OF_TIME_MS).values()):
            return beginnings
        ends, found = self.least_ends(wanted), self._offsets(wanted, time_ms)
        return {one: found[one] if found[one] >= 0 else ends[one] for one in wanted}

    def committed(
        self, group: str, partitions: Iterable[TopicPartition]
    ) -> dict[TopicPartition, int | None]:
        """See `Broker.committed`."""
        name = self._connection.group(group)
        wanted = list(partitions)
        with self._connection.errors(f"asking for the offsets of group {name}"):
            asked = {name: [native(partition) for partition in wanted]}
            found = self._ask(lambda admin: admin.list_group_offsets(asked)).get(name, {})
        offsets = {partition: found.get(native(partition)) for partition in wanted}
        return {
            partition: None if at is None or at.offset < 0 else int(at.offset)
            for partition, at in offsets.items()
        }

    def close(self) -> None:
        """See `Broker.close`."""
        with self._admin_lock:
            if self._admin is not None:
                self._admin.close()
                self._admin = None

    def _member(self, group: str, topics: Sequence[str], max_records: int, shares: Shares) -> Any:
        settings = self._connection.settings
        with self._connection.errors("joining the consumer group"):
            self._connection.require_reachable()
            consumer = Consumer(
                group_id=self._connection.group(group),
                max_poll_records=max_records,
                session_timeout_ms=settings.session_timeout_ms,
                heartbeat_interval_ms=settings.heartbeat_interval_ms,
                # Who heartbeats and does not poll holds up every rebalance for so long, and is left
                # out of the next one.
                max_poll_interval_ms=int(settings.group_patience_s * 1000),
                metadata_max_age_ms=_METADATA_MAX_AGE_MS,
                **self._reading(),
            )
            consumer.subscribe(topics, listener=shares)
            shares.attend(consumer)
            _learn_of(consumer, topics)  # before the first poll, with which it joins
        return consumer

    def _ask(self, question: Callable[[Any], Any]) -> Any:
        # One question at a time: while the first of several connects, kafka-python fails the others.
        with self._admin_lock:
            if self._admin is None:
                self._connection.require_reachable()
                self._admin = kafka.KafkaAdminClient(**self._connection.options)
            return question(self._admin)

    def _read(self, start: Mapping[TopicPartition, int], **options: Any) -> KafkaReader:
        with self._connection.errors("reading"):
            self._connection.require_reachable()
            consumer = Consumer(**{**self._reading(), **options})
            partitions = {native(partition): offset for partition, offset in start.items()}
            consumer.assign(list(partitions))
            for partition, offset in partitions.items():
                consumer.seek(partition, offset)
        return KafkaReader(consumer, self._connection)

    def _reading(self) -> dict[str, Any]:
        return {
            **self._connection.options,
            "auto_offset_reset": "earliest",
            "enable_auto_commit": False,
            "allow_auto_create_topics": False,
            "metrics_enabled": False,
            "fetch_max_wait_ms": self._connection.settings.fetch_max_wait_ms,
            # Bounds what a poll holds, whatever `max_records` is: so much of each partition.
            "max_partition_fetch_bytes": MAX_RECORD_BYTES,
            "fetch_max_bytes": _MAX_FETCH_BYTES,
        }

    def _partition_numbers(self) -> dict[str, list[int]]:
        return {
            description["name"]: sorted(
                partition["partition_index"] for partition in description["partitions"]
            )
            for description in self._descriptions()
        }

    def _descriptions(self) -> list[dict[str, Any]]:
        # All topics are asked for: naming one makes Tansu create it, whatever the request says.
        described = self._ask(lambda admin: admin.describe_topics())
        return [description for description in described if not description["error_code"]]

    def _create(self, spec: TopicSpec) -> None:
        creation = {
            "num_partitions": spec.partitions,
            "replication_factor": self._connection.settings.replication_factor,
            "configs": spec.config,
        }
        self._ask(lambda admin: admin.create_topics({spec.name: creation}))

    def _offsets(
        self, partitions: Iterable[TopicPartition], at: Any, **options: Any
    ) -> dict[TopicPartition, int]:
        wanted = {native(partition): at for partition in partitions}
        if not wanted:
            return {}
        with self._connection.errors("asking for offsets"):
            found = self._ask(lambda admin: admin.list_partition_offsets(wanted, **options))
        return {TopicPartition(*partition): offset.offset for partition, offset in found.items()}


def _learn_of(consumer: Any, topics: Iterable[str]) -> None:
    """Return once the consumer knows its topics' partitions, or after a few seconds without."""
    deadline_s = time.monotonic() + _METADATA_PATIENCE_S
    for topic in topics:
        while not consumer.partitions_for_topic(topic) and time.monotonic() < deadline_s:
            time.sleep(_METADATA_POLL_S)
