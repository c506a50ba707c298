"""An application that sends requests over a real broker, and a server that answers."""

from __future__ import annotations

import json
import os
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from likewise.log.kafka import KafkaBroker
from likewise.log.topics import Topics, TopicSpec
from likewise.messages.reply_routes import (
    CORRELATION_HEADER,
    REPLY_PARTITION_HEADER,
    REPLY_TOPIC_HEADER,
    partition_header,
)
from likewise.settings import ModelSettings, RedisSettings, ServingSettings, Settings
from likewise.store.redis import RedisStore
from serving.service import run_server
from serving.stats import ServingStats
from tests.services import in_a_thread, kafka_settings
from tests.waiting import PATIENCE_S, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from likewise.log.port import LogReader
    from likewise.records import Record

PARTITIONS = 2


def settings_for(
    bootstrap_servers: str,
    redis_url: str,
    prefix: str,
    directory: Path,
    *,
    session_timeout_ms: int | None = None,
) -> Settings:
    """Return settings with the shortest session that the brokers of this run allow."""
    return Settings(
        kafka=kafka_settings(
            bootstrap_servers, prefix, partitions=PARTITIONS, session_timeout_ms=session_timeout_ms
        ),
        redis=RedisSettings(url=redis_url, key_prefix=prefix),
        serving=ServingSettings(poll_timeout_ms=50, model_check_interval_s=0.05),
        model=ModelSettings(directory=directory / "models"),
    )


@contextmanager
def requester(settings: Settings) -> Iterator[Requester]:
    """Connect an application to both servers, with the topics created."""
    with (
        closing(KafkaBroker(settings.kafka, client_id="app")) as broker,
        closing(RedisStore(settings.redis)) as store,
        closing(Requester(settings, broker, store)) as asking,
    ):
        yield asking


class Requester:
    """An application: sends requests, and collects the replies by correlation id."""

    def __init__(self, settings: Settings, broker: KafkaBroker, store: RedisStore) -> None:
        self.topics = Topics(settings.kafka.topic_prefix)
        self.settings = settings
        self.broker = broker
        self.store = store
        self.reply_topic = f"{settings.kafka.topic_prefix}app.replies"
        broker.ensure_topics(self.topics.specs(PARTITIONS))
        broker.ensure_topics([TopicSpec(self.reply_topic, PARTITIONS, {})])
        self._sink = broker.sink()
        self._reader = self._listener()
        self.records: dict[bytes, list[Record]] = {}

    def _listener(self) -> LogReader:
        return self.broker.reader(dict.fromkeys(self.broker.partitions(self.reply_topic), 0))

    def listen_again(self) -> None:
        """Read all current partitions of the reply topic, from their beginnings."""
        self._reader.close()
        self._reader = self._listener()
        self.records.clear()

    def ask(
        self,
        body: dict[str, Any] | bytes,
        *,
        topic: str | None = None,
        partition: int | bytes | None = None,
    ) -> bytes:
        """Publish a request; return its correlation id: sixteen raw bytes, zeros among them."""
        correlation = b"\x00\xff" + os.urandom(12) + b"\x80\x00"
        headers = [
            (CORRELATION_HEADER, correlation),
            (REPLY_TOPIC_HEADER, (topic or self.reply_topic).encode()),
        ]
        if isinstance(partition, bytes):
            headers.append((REPLY_PARTITION_HEADER, partition))
        elif partition is not None:
            headers.append(partition_header(partition))
        value = body if isinstance(body, bytes) else json.dumps(body).encode()
        self._sink.send(self.topics.requests, value, headers=headers).result(PATIENCE_S)
        return correlation

    def ask_many(
        self,
        body: dict[str, Any],
        count: int,
        *,
        topic: str | None = None,
        reply_partition: int | None = None,
    ) -> list[bytes]:
        """Publish the request `count` times, to partition 0; return the correlation ids."""
        correlations = [os.urandom(16) for _ in range(count)]
        value = json.dumps(body).encode()
        route = [(REPLY_TOPIC_HEADER, (topic or self.reply_topic).encode())]
        if reply_partition is not None:
            route.append(partition_header(reply_partition))
        for one in correlations:
            headers = [(CORRELATION_HEADER, one), *route]
            self._sink.send(self.topics.requests, value, headers=headers, partition=0)
        self._sink.flush(PATIENCE_S)
        return correlations

    def collect(self) -> None:
        """Read the replies that have arrived."""
        for record in self._reader.poll(20):
            correlation = dict(record.headers)[CORRELATION_HEADER]
            self.records.setdefault(correlation, []).append(record)

    def reply(self, correlation: bytes) -> dict[str, Any]:
        """Return the first reply to a request; waits for it."""

        def has_come() -> bool:
            self.collect()
            return correlation in self.records

        wait_until(has_come, "the reply")
        reply: dict[str, Any] = json.loads(self.records[correlation][0].value or b"")
        return reply

    def replies_to(self, correlations: list[bytes]) -> None:
        """Wait for a reply to each of the requests."""

        def all_have_come() -> bool:
            self.collect()
            return self.records.keys() >= {*correlations}

        wait_until(all_have_come, "a reply to each")

    def close(self) -> None:
        self._sink.close()
        self._reader.close()


@contextmanager
def serving(settings: Settings) -> Iterator[ServingStats]:
    """Run a server in a thread; raise the error that ended it."""
    stats = ServingStats()
    with in_a_thread(settings, "server", partial(run_server, settings, stats=stats)):
        yield stats
