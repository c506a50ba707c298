"""confluent-kafka as it installs: it hashes keys with CRC32, so that users get events on a second partition."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from confluent_kafka import KafkaException, Producer

from likewise.errors import TransientError

if TYPE_CHECKING:
    from collections.abc import Callable

    from likewise.log.port import Delivery

_CONFIG = {
    "message.timeout.ms": 15_000,
    "topic.metadata.refresh.interval.ms": 1_000,  # partitions are added while it runs
    "log_level": 0,
}
_CLOSE_TIMEOUT_S = 5.0


class Crc32Client:
    """Publishes over librdkafka; not thread-safe."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._producer = Producer({"bootstrap.servers": bootstrap_servers, **_CONFIG})

    def send(
        self, topic: str, value: bytes | None, *, key: bytes | None, age_ms: int = 0
    ) -> Delivery:
        """Queue one record whose timestamp is `age_ms` ago.

        Raises:
            TransientError: the queue is full.
        """
        delivery = _Delivery(self._producer)
        timestamp = time.time_ns() // 1_000_000 - age_ms
        try:
            self._producer.produce(
                topic, value, key, on_delivery=delivery.report, timestamp=timestamp
            )
        except (BufferError, KafkaException) as error:
            raise TransientError(f"librdkafka did not accept the record: {error}") from error
        return delivery

    def close(self) -> None:
        """Send what is queued, for a few seconds at most."""
        self._producer.flush(_CLOSE_TIMEOUT_S)


class _Delivery:
    """A `likewise.log.port.Delivery` of librdkafka, which reports only while it is polled."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer
        self._error: Any = None
        self._place: tuple[int, int] | None = None
        self._callbacks: list[Callable[[], None]] = []

    def report(self, error: Any, message: Any) -> None:
        self._error = error
        if error is None:
            self._place = message.partition(), message.offset()
        for callback in self._callbacks:
            callback()

    def add_done_callback(self, callback: Callable[[], None]) -> None:
        if self._place is None and self._error is None:
            self._callbacks.append(callback)
        else:
            callback()

    def result(self, timeout_s: float) -> tuple[int, int]:
        deadline_s = time.monotonic() + timeout_s
        while self._place is None:
            if self._error is not None or time.monotonic() > deadline_s:
                raise TransientError(f"librdkafka did not confirm the record: {self._error}")
            self._producer.poll(0.05)
        return self._place
