"""The log on real Kafka brokers; the only module that imports kafka-python.

kafka-python has no types, so everything that comes from it is `Any` until it leaves here as one
of the types of `likewise.streams`. A consumer record of kafka-python is a `Record` as it is.
"""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, cast

import kafka
from kafka import errors as kafka_errors

from likewise.errors import SettingsError, TransientError, UndeliverableError
from likewise.streams import TopicPartition

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from likewise.settings import KafkaSettings
    from likewise.streams import Record
    from likewise.topics import TopicSpec

CLOSE_TIMEOUT_MS = 3_000
# One event or request has at most a few hundred KiB, a dead letter a little over 1 MiB.
MAX_RECORD_BYTES = 4 * 1024 * 1024

_REFUSED = (
    kafka_errors.MessageSizeTooLargeError,
    kafka_errors.RecordListTooLargeError,
    kafka_errors.InvalidTopicError,
    kafka_errors.UnknownTopicOrPartitionError,
    kafka_errors.InvalidRecordError,
    kafka_errors.InvalidTimestampError,
    ValueError,  # what kafka-python raises for a partition that does not exist
)
_MISCONFIGURED = (
    kafka_errors.AuthorizationError,
    kafka_errors.SaslAuthenticationFailedError,
    kafka_errors.UnsupportedSaslMechanismError,
    kafka_errors.InvalidReplicationFactorError,
    kafka_errors.InvalidSessionTimeoutError,
    kafka_errors.PolicyViolationError,
    kafka_errors.KafkaConfigurationError,
)


class KafkaBroker:
    """A `likewise.streams.Broker` over a Kafka cluster. Connects when first asked something."""

    def __init__(self, settings: KafkaSettings, *, client_id: str = "likewise") -> None:
        self._settings = settings
        self._connection = _connection(settings, client_id)
        self._admin: Any = None

    def source(self, group: str, topics: Iterable[str], *, max_records: int) -> KafkaSource:
        """See `Broker.source`.

        Raises:
            TransientError: the cluster is out of reach.
        """
        with self._errors("joining the consumer group"):
            consumer = kafka.KafkaConsumer(
                *topics,
                group_id=f"{self._settings.topic_prefix}{group}",
                max_poll_records=max_records,
                session_timeout_ms=self._settings.session_timeout_ms,
                heartbeat_interval_ms=self._settings.heartbeat_interval_ms,
                **self._reading(),
            )
        return KafkaSource(consumer, self._errors)

    def reader(self, start: Mapping[TopicPartition, int]) -> KafkaReader:
        """See `Broker.reader`."""
        with self._errors("reading"):
            consumer = kafka.KafkaConsumer(**self._reading())
            partitions = {_native(partition): offset for partition, offset in start.items()}
            consumer.assign(list(partitions))
            for partition, offset in partitions.items():
                consumer.seek(partition, offset)
        return KafkaReader(consumer, self._errors)

    def sink(self, *, linger_ms: int = 0) -> KafkaSink:
        """See `Broker.sink`."""
        with self._errors("connecting"):
            producer = kafka.KafkaProducer(
                acks="all",
                allow_auto_create_topics=False,
                metrics_enabled=False,
                compression_type="lz4",
                linger_ms=linger_ms,
                batch_size=128 * 1024,
                max_request_size=MAX_RECORD_BYTES,
                max_block_ms=self._settings.request_timeout_ms,
                **self._connection,
            )
        return KafkaSink(producer, self._errors)

    def ensure_topics(self, specs: Iterable[TopicSpec]) -> None:
        """See `Broker.ensure_topics`. Blocks until the new topics have leaders."""
        with self._errors("creating topics"):
            missing = {spec.name: spec for spec in specs if not self.partitions(spec.name)}
            for spec in missing.values():
                with suppress(kafka_errors.TopicAlreadyExistsError):  # another service was quicker
                    self._ask().create_topics({spec.name: self._creation(spec)})
            if missing:
                self._ask().wait_for_topics(list(missing))

    def partitions(self, topic: str) -> list[TopicPartition]:
        """See `Broker.partitions`. Never creates the topic."""
        with self._errors(f"asking for topic {topic}"):
            # All topics are asked for: naming one makes Tansu create it, whatever the request says.
            described = self._ask().describe_topics()
        numbers = (
            partition["partition_index"]
            for description in described
            if description["name"] == topic and not description["error_code"]
            for partition in description["partitions"]
        )
        return [TopicPartition(topic, number) for number in sorted(numbers)]

    def beginning_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """See `Broker.beginning_offsets`."""
        return self._offsets(partitions, kafka.OffsetSpec.EARLIEST)

    def end_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """See `Broker.end_offsets`.

        Asks with a fetch at the end that ListOffsets tells: Tansu tells the first offset of the
        last batch there, but the true end (the high watermark) with every fetch.
        """
        listed = self._offsets(partitions, kafka.OffsetSpec.LATEST)
        reader = self.reader(listed)
        try:
            return reader.high_watermarks(timeout_ms=self._settings.request_timeout_ms)
        finally:
            reader.close()

    def committed(
        self, group: str, partitions: Iterable[TopicPartition]
    ) -> dict[TopicPartition, int | None]:
        """See `Broker.committed`."""
        name = f"{self._settings.topic_prefix}{group}"
        wanted = list(partitions)
        with self._errors(f"asking for the offsets of group {name}"):
            native = [_native(partition) for partition in wanted]
            found = self._ask().list_group_offsets({name: native}).get(name, {})
        offsets = {partition: found.get(_native(partition)) for partition in wanted}
        return {
            partition: None if at is None or at.offset < 0 else int(at.offset)
            for partition, at in offsets.items()
        }

    def close(self) -> None:
        """See `Broker.close`."""
        if self._admin is not None:
            self._admin.close()
            self._admin = None

    def _ask(self) -> Any:
        if self._admin is None:
            self._admin = kafka.KafkaAdminClient(**self._connection)
        return self._admin

    def _reading(self) -> dict[str, Any]:
        return {
            **self._connection,
            "auto_offset_reset": "earliest",
            "enable_auto_commit": False,
            "allow_auto_create_topics": False,
            "metrics_enabled": False,
            "fetch_max_wait_ms": self._settings.fetch_max_wait_ms,
            "max_partition_fetch_bytes": MAX_RECORD_BYTES,
        }

    def _creation(self, spec: TopicSpec) -> dict[str, Any]:
        return {
            "num_partitions": spec.partitions,
            "replication_factor": self._settings.replication_factor,
            "configs": spec.config,
        }

    def _offsets(self, partitions: Iterable[TopicPartition], at: Any) -> dict[TopicPartition, int]:
        wanted = {_native(partition): at for partition in partitions}
        if not wanted:
            return {}
        with self._errors("asking for offsets"):
            found = self._ask().list_partition_offsets(wanted)
        return {TopicPartition(*partition): offset.offset for partition, offset in found.items()}

    @contextmanager
    def _errors(self, doing: str) -> Iterator[None]:
        """Turn what kafka-python raises into the project's errors, by what a caller can do."""
        where = f"Kafka at {self._settings.bootstrap_servers}, {doing}"
        try:
            yield
        except _MISCONFIGURED as error:
            raise SettingsError(
                f"{where}: {error}. Check the [kafka] settings (LIKEWISE_KAFKA_…)"
            ) from error
        except _REFUSED as error:
            raise UndeliverableError(f"{where}: {error}") from error
        except (kafka_errors.KafkaError, OSError) as error:
            raise TransientError(f"{where}: {error}") from error


class KafkaSource:
    """A `likewise.streams.Source`: one member of a consumer group."""

    def __init__(self, consumer: Any, errors: Any) -> None:
        self._consumer = consumer
        self._errors = errors

    def poll(self, timeout_ms: int) -> list[Record]:
        """See `Source.poll`."""
        with self._errors("polling"):
            return _flat(self._consumer.poll(timeout_ms))

    def assignment(self) -> set[TopicPartition]:
        """See `Source.assignment`."""
        return {TopicPartition(*partition) for partition in self._consumer.assignment()}

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """See `Source.seek`."""
        # A partition that was revoked meanwhile is somebody else's to read.
        with suppress(ValueError, KeyError):
            self._consumer.seek(_native(partition), offset)

    def seek_to_beginning(self, partition: TopicPartition) -> None:
        """See `Source.seek_to_beginning`."""
        with suppress(ValueError, KeyError):
            self._consumer.seek_to_beginning(_native(partition))

    def commit(self, next_offsets: Mapping[TopicPartition, int]) -> None:
        """See `Source.commit`."""
        offsets = {
            _native(partition): kafka.OffsetAndMetadata(offset, "", -1)
            for partition, offset in next_offsets.items()
        }
        lost = (
            kafka_errors.CommitFailedError,
            kafka_errors.RebalanceInProgressError,
            kafka_errors.IllegalGenerationError,
            kafka_errors.UnknownMemberIdError,
        )
        with self._errors("committing"), suppress(*lost):
            self._consumer.commit(offsets)

    def keep_alive(self) -> None:
        """See `Source.keep_alive`.

        Polling with everything paused keeps the membership; a rebalance inside may assign
        partitions that are not paused yet: what they give is read again.
        """
        self._consumer.pause(*self._consumer.assignment())
        with suppress(TransientError):
            for record in reversed(self.poll(0)):
                self.seek(TopicPartition(record.topic, record.partition), record.offset)
        self._consumer.resume(*self._consumer.paused())

    def close(self) -> None:
        """See `Source.close`."""
        with suppress(kafka_errors.KafkaError, OSError):
            self._consumer.close(autocommit=False, timeout_ms=CLOSE_TIMEOUT_MS)


class KafkaReader:
    """A `likewise.streams.LogReader`: reads partitions outside any group."""

    def __init__(self, consumer: Any, errors: Any) -> None:
        self._consumer = consumer
        self._errors = errors

    def poll(self, timeout_ms: int) -> list[Record]:
        """See `LogReader.poll`."""
        with self._errors("polling"):
            return _flat(self._consumer.poll(timeout_ms))

    def high_watermarks(self, *, timeout_ms: int) -> dict[TopicPartition, int]:
        """Return the end of each partition read, as the broker tells it with a fetch.

        Raises:
            TransientError: the broker did not tell all of them in time.
        """
        deadline_s = time.monotonic() + timeout_ms / 1000
        partitions = self._consumer.assignment()
        while time.monotonic() < deadline_s:
            ends = {TopicPartition(*one): self._consumer.highwater(one) for one in partitions}
            if all(end is not None for end in ends.values()):
                return ends
            self.poll(50)
        raise TransientError(f"no high watermark of {sorted(partitions)} in {timeout_ms} ms")

    def close(self) -> None:
        """See `LogReader.close`."""
        with suppress(kafka_errors.KafkaError, OSError):
            self._consumer.close(autocommit=False, timeout_ms=CLOSE_TIMEOUT_MS)


class KafkaSink:
    """A `likewise.streams.Sink`: an idempotent producer that waits for all in-sync replicas."""

    def __init__(self, producer: Any, errors: Any) -> None:
        self._producer = producer
        self._errors = errors

    def send(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Sequence[tuple[str, bytes]] = (),
        partition: int | None = None,
    ) -> KafkaDelivery:
        """See `Sink.send`."""
        with self._errors(f"sending to {topic}"):
            sent = self._producer.send(
                topic,
                value,
                # kafka-python refuses a record with neither; an empty key says the same.
                key=b"" if key is None and value is None else key,
                headers=list(headers),
                partition=partition,
            )
        return KafkaDelivery(sent, topic, self._errors)

    def flush(self, timeout_s: float) -> None:
        """See `Sink.flush`."""
        with self._errors("flushing"):
            self._producer.flush(timeout_s)

    def close(self) -> None:
        """See `Sink.close`."""
        with suppress(kafka_errors.KafkaError, OSError):
            self._producer.close(timeout=CLOSE_TIMEOUT_MS / 1000)


class KafkaDelivery:
    """A `likewise.streams.Delivery`."""

    def __init__(self, sent: Any, topic: str, errors: Any) -> None:
        self._sent = sent
        self._topic = topic
        self._errors = errors

    def result(self, timeout_s: float) -> tuple[int, int]:
        """See `Delivery.result`."""
        with self._errors(f"sending to {self._topic}"):
            confirmed = self._sent.get(timeout=timeout_s)
        return confirmed.partition, confirmed.offset


def _connection(settings: KafkaSettings, client_id: str) -> dict[str, Any]:
    password = settings.sasl_password
    given = {
        "bootstrap_servers": [part.strip() for part in settings.bootstrap_servers.split(",")],
        "client_id": client_id,
        "security_protocol": settings.security_protocol,
        "request_timeout_ms": settings.request_timeout_ms,
        "reconnect_backoff_max_ms": 2_000,
        "sasl_mechanism": settings.sasl_mechanism,
        "sasl_plain_username": settings.sasl_username,
        "sasl_plain_password": None if password is None else password.reveal(),
        "ssl_cafile": settings.ssl_cafile and str(settings.ssl_cafile),
        "ssl_certfile": settings.ssl_certfile and str(settings.ssl_certfile),
        "ssl_keyfile": settings.ssl_keyfile and str(settings.ssl_keyfile),
    }
    return {name: value for name, value in given.items() if value is not None}


def _native(partition: TopicPartition) -> Any:
    return kafka.TopicPartition(*partition)


def _flat(batches: Mapping[Any, list[Any]]) -> list[Record]:
    return [cast("Record", record) for records in batches.values() for record in records]
