"""Sending to Kafka."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import kafka
from kafka import errors as kafka_errors

from likewise.errors import TransientError
from likewise.log.kafka.connection import CLOSE_TIMEOUT_MS, MAX_RECORD_BYTES
from likewise.log.kafka.partitioning import KeyPartitioner

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from likewise.log.kafka.connection import Connection
    from likewise.log.kafka.topic_sizes import TopicSizes

_METADATA_TIMEOUT_S = 2.0
_BATCH_BYTES = 128 * 1024


def producer(connection: Connection, linger_ms: int) -> Any:
    """Return a connected producer of kafka-python.

    Raises:
        TransientError: the cluster cannot be reached.
    """
    settings = connection.settings
    with connection.errors("connecting"):
        connection.require_reachable()
        return kafka.KafkaProducer(
            acks="all",
            # An idempotent producer never recovers from a broker that lost its state. One request
            # in flight keeps the order as well, and a duplicate counts once.
            enable_idempotence=False,
            max_in_flight_requests_per_connection=1,
            allow_auto_create_topics=False,
            metrics_enabled=False,
            compression_type=None if settings.compression == "none" else settings.compression,
            linger_ms=linger_ms,
            batch_size=_BATCH_BYTES,
            max_request_size=MAX_RECORD_BYTES,
            partitioner=KeyPartitioner(settings.partitioner),
            max_block_ms=settings.request_timeout_ms,
            **connection.options,
        )


class KafkaSink:
    """A `likewise.log.port.Sink` that waits for all in-sync replicas.

    It retries unconfirmed records in order, so a record can be in the log twice.
    """

    def __init__(self, producer: Any, connection: Connection, sizes: TopicSizes) -> None:
        self._producer = producer
        self._connection = connection
        self._sizes = sizes

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
        self._sizes.check(topic, partition)
        record = {
            "value": value,
            # kafka-python refuses a record with neither; an empty key means the same.
            "key": b"" if key is None and value is None else key,
            # A header that was read may have no value; kafka-python cannot send it that way.
            "headers": [(name, given or b"") for name, given in headers],
            "partition": partition,
        }
        with self._connection.errors(f"sending to {topic}"):
            try:
                sent = self._producer.send(topic, **record)
            except ValueError:  # the producer does not know a new partition yet
                sent = self._send_after_refresh(topic, record)
        return KafkaDelivery(sent, topic, self._connection)

    def flush(self, timeout_s: float) -> None:
        """See `Sink.flush`."""
        with self._connection.errors("flushing"):
            self._producer.flush(timeout_s)

    def close(self) -> None:
        """See `Sink.close`."""
        with suppress(kafka_errors.KafkaError, OSError):
            self._producer.close(timeout=CLOSE_TIMEOUT_MS / 1000)

    def _send_after_refresh(self, topic: str, record: dict[str, Any]) -> Any:
        """Send after a refresh of the metadata.

        For a partition that it does not know, `KafkaProducer._partition` (kafka-python 3.0,
        kafka/producer/kafka.py) raises ValueError until its own refresh, every five minutes.
        """
        known = threading.Event()
        self._producer._metadata.request_update().add_both(lambda _: known.set())
        known.wait(_METADATA_TIMEOUT_S)
        try:
            return self._producer.send(topic, **record)
        except ValueError as error:
            raise TransientError(f"sending to {topic}: {error}").of("kafka") from error


class KafkaDelivery:
    """A `likewise.log.port.Delivery`."""

    def __init__(self, sent: Any, topic: str, connection: Connection) -> None:
        self._sent = sent
        self._topic = topic
        self._connection = connection

    def result(self, timeout_s: float) -> tuple[int, int]:
        """See `Delivery.result`."""
        with self._connection.errors(f"sending to {self._topic}"):
            confirmed = self._sent.get(timeout=timeout_s)
        return confirmed.partition, confirmed.offset

    def add_done_callback(self, callback: Callable[[], None]) -> None:
        """See `Delivery.add_done_callback`."""
        self._sent.add_both(lambda _: callback())
