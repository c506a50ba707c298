"""An application with nothing of likewise: kafka-python's producer and consumer, and JSON."""

from __future__ import annotations

import json
import uuid
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from kafka import KafkaConsumer, KafkaProducer

from tests.waiting import PATIENCE_S, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator


class PlainApp:
    """Publishes documents, and asks for recommendations, on the topics of one deployment."""

    def __init__(self, producer: KafkaProducer, consumer: KafkaConsumer, prefix: str) -> None:
        self._producer = producer
        self._consumer = consumer
        self._prefix = prefix
        self._replies: dict[bytes, dict[str, Any]] = {}

    def publish(self, topic: str, key: str, body: dict[str, Any] | None) -> str:
        """Publish a JSON object, or null; return its position as `partition:offset`."""
        value = None if body is None else json.dumps(body).encode()
        sent = self._producer.send(f"{self._prefix}{topic}", key=key.encode(), value=value)
        written = sent.get(PATIENCE_S)
        return f"{written.partition}:{written.offset}"

    def event(self, action: str, user_id: str, item_id: str, **more: str) -> str:
        """Publish an event on the topic `likes`; return its position."""
        body = {"action": action, "user_id": user_id, "item_id": item_id, **more}
        return self.publish("likes", user_id, body)

    def send(self, **body: Any) -> bytes:
        """Publish a request; return its correlation id."""
        correlation = uuid.uuid4().bytes
        headers = [
            ("kafka_correlationId", correlation),
            ("kafka_replyTopic", f"{self._prefix}recommendation-replies".encode()),
        ]
        topic = f"{self._prefix}recommendation-requests"
        value = json.dumps(body).encode()
        self._producer.send(topic, value=value, headers=headers).get(PATIENCE_S)
        return correlation

    def reply(self, correlation: bytes) -> dict[str, Any]:
        """Return the first reply to a request; wait for it."""
        wait_until(lambda: self._has_come(correlation), "a reply")
        return self._replies[correlation]

    def ask(self, **body: Any) -> dict[str, Any]:
        """Publish a request and return its reply."""
        return self.reply(self.send(**body))

    def _has_come(self, correlation: bytes) -> bool:
        for records in self._consumer.poll(timeout_ms=20).values():
            for record in records:
                name = dict(record.headers)["kafka_correlationId"]
                self._replies.setdefault(name, json.loads(record.value))
        return correlation in self._replies


@contextmanager
def plain_app(bootstrap_servers: str, prefix: str) -> Iterator[PlainApp]:
    """Connect an application. The topics must exist."""
    with (
        closing(KafkaProducer(bootstrap_servers=bootstrap_servers, linger_ms=0)) as producer,
        closing(
            KafkaConsumer(
                f"{prefix}recommendation-replies",
                bootstrap_servers=bootstrap_servers,
                auto_offset_reset="earliest",
                group_id=None,
                fetch_max_wait_ms=10,
            )
        ) as consumer,
    ):
        yield PlainApp(producer, consumer, prefix)
