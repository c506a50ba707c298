"""Sending to Kafka."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from kafka import errors as kafka_errors

from likewise.errors import TransientError
from likewise.log.kafka.connection import CLOSE_TIMEOUT_MS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from likewise.log.kafka.connection import Connection
    from likewise.log.kafka.topic_sizes import TopicSizes

_METADATA_TIMEOUT_S = 2.0


class KafkaSink:
    """A `likewise.log.port.Sink` that waits for all in-sync replicas.

    It sends again what was not confirmed, in order: a record can be in the log twice.
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
            # kafka-python refuses a record with neither; an empty key says the same.
            "key": b"" if key is None and value is None else key,
            # Read from others, a header may have no value, which kafka-python does not send.
            "headers": [(name, given or b"") for name, given in headers],
            "partition": partition,
        }
        with self._connection.errors(f"sending to {topic}"):
            try:
                sent = self._producer.send(topic, **record)
            except ValueError:  # a partition newer than what the producer knows
                sent = self._send_knowing_more(topic, record)
        return KafkaDelivery(sent, topic, self._connection)

    def _send_knowing_more(self, topic: str, record: dict[str, Any]) -> Any:
        """Send after the producer has asked again which partitions there are.

        By itself it would do so every five minutes.
        """
        known = threading.Event()
        self._producer._metadata.request_update().add_both(lambda _: known.set())
        known.wait(_METADATA_TIMEOUT_S)
        try:
            return self._producer.send(topic, **record)
        except ValueError as error:
            raise TransientError(f"sending to {topic}: {error}").of("kafka") from error

    def flush(self, timeout_s: float) -> None:
        """See `Sink.flush`."""
        with self._connection.errors("flushing"):
            self._producer.flush(timeout_s)

    def close(self) -> None:
        """See `Sink.close`."""
        with suppress(kafka_errors.KafkaError, OSError):
            self._producer.close(timeout=CLOSE_TIMEOUT_MS / 1000)


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
