"""Kafka compacts the topic of items under a consumer: offsets without records, removals that vanish."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from likewise.log.kafka import KafkaBroker
from likewise.log.ranges import read_between
from likewise.log.topics import Topics, TopicSpec
from likewise.messages.items import decode_stored_item
from likewise.operations.document_verification import DocumentVerifier
from likewise.operations.documents import Items
from likewise.operations.status import kafka_status
from tests.consuming import caught_up, consuming, opened
from tests.faults.deployment import settings_for
from tests.faults.kafka_server import kafka_server
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from likewise.log.port import Broker
    from tests.faults.audit import Figures

ITEMS = [f"i{number}" for number in range(200)]
REMOVED = ITEMS[:50]
ROUNDS = 5
EAGER = {
    "cleanup.policy": "compact",
    "segment.ms": "100",
    "min.cleanable.dirty.ratio": "0.01",
    "max.compaction.lag.ms": "100",
    "delete.retention.ms": "0",
}
COMPACTION_TIMEOUT_S = 120.0


@pytest.mark.timeout(300)
def test_a_compacted_topic_is_applied_to_its_end_and_verified(
    redis_url: str, prefix: str, tmp_path: Path, figures: Figures
) -> None:
    topic = Topics(prefix).items
    with kafka_server() as kafka:
        settings = settings_for(
            kafka.bootstrap_servers, redis_url, prefix, tmp_path, session_timeout_ms=6_000
        )
        with closing(KafkaBroker(settings.kafka)) as admin:
            admin.ensure_topics([TopicSpec(topic, 1, EAGER)])
        with opened(settings) as (broker, store):
            send(broker, topic, ITEMS, 0)
            with consuming(settings):
                wait_until(lambda: caught_up(broker, store, topic), "the first round is applied")
            for number in range(1, ROUNDS):
                send(broker, topic, ITEMS, number)
            send(broker, topic, REMOVED, None)
            wait_until(lambda: is_compacted(broker, topic), "Kafka compacts", COMPACTION_TIMEOUT_S)
            figures.faults["topic compacted"] += 1
            with consuming(settings) as stats:
                wait_until(lambda: caught_up(broker, store, topic), "all that is left is applied")
                wait_until(lambda: stats.lag[f"{topic}/0"] == 0, "no lag is shown")
                wait_until(lambda: kafka_status(settings, broker, store).items.lag == 0, "commits")
            assert (stats.rejoins, sum(stats.log_breaks.values())) == (0, 0)
            verifier = DocumentVerifier(broker, store, Items(topic, store))
            found = verifier.run()
            # Removals that compaction dropped before they were applied are found by `verify`.
            assert found.extra <= {*REMOVED}
            assert (found.missing, found.outdated, found.unapplied) == (set(), set(), 0)
            verifier.repair()
            items = [decode_stored_item(one) for chunk in store.catalogue_items() for one in chunk]
            titles = {item.item_id: item.title for item in items if item.item_id != "tick"}
            assert titles == dict.fromkeys(ITEMS[len(REMOVED) :], f"round {ROUNDS - 1}")


def send(broker: Broker, topic: str, items: Iterable[str], number: int | None) -> None:
    with closing(broker.sink()) as sink:
        for item in items:
            body = None if number is None else {"item_id": item, "title": f"round {number}"}
            value = None if body is None else json.dumps(body).encode()
            sink.send(topic, value, key=item.encode())
        sink.flush(30.0)


def is_compacted(broker: Broker, topic: str) -> bool:
    """Whether old records are gone; a new record begins a segment, and Kafka compacts those before."""
    send(broker, topic, ["tick"], 0)
    partitions = broker.partitions(topic)
    start, end = broker.beginning_offsets(partitions), broker.end_offsets(partitions)
    left = sum(map(len, read_between(broker, start, end)))
    return left < len(ITEMS) * 2
