"""Sending exposures, on a real broker and on the one in memory: what is confirmed, and what is dropped."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from likewise.log.kafka import KafkaBroker
from likewise.log.topics import Topics
from likewise.messages.exposures import Exposure, decode_exposure
from likewise.messages.ids import ItemId, UserId
from likewise.testing import MemoryBroker
from serving.exposing import ExposureBatch, ExposureTopic
from serving.stats import ServingStats
from tests.services import kafka_settings
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from likewise.log.port import Broker, Sink

TIMEOUT_S = 20.0
EXPOSURES = [
    Exposure(
        recommendation_id=f"r{number}",
        user_id=UserId(f"u{number % 3}"),
        shown_at_ms=number,
        items=(ItemId("i1"), ItemId("ü 2")),
        models=("m", "n"),
        experiment="e",
        placed_by=(1, -1),
        latency_ms=0.5,
        popular=2,
    )
    for number in range(20)
]


@pytest.fixture(params=["memory", "kafka"])
def broker(request: pytest.FixtureRequest, prefix: str) -> Iterator[Broker]:
    made: Broker = (
        MemoryBroker()
        if request.param == "memory"
        else KafkaBroker(kafka_settings(request.getfixturevalue("bootstrap_servers"), prefix))
    )
    with closing(made):
        yield made


def sent(sink: Sink, topic: str) -> ServingStats:
    """Send all exposures as a server does."""
    stats = ServingStats()
    batch = ExposureBatch(ExposureTopic(sink, topic, stats))
    for exposure in [*EXPOSURES, *EXPOSURES]:
        batch.add(exposure)
    assert batch
    batch.start()
    batch.confirm(time.monotonic() + TIMEOUT_S)
    assert not batch
    return stats


def test_exposures_are_in_the_log_once_they_are_confirmed(broker: Broker, prefix: str) -> None:
    topics = Topics(prefix)
    broker.ensure_topics([topics.exposures_spec(2)])
    with closing(broker.sink()) as sink:
        stats = sent(sink, topics.exposures)
    assert (stats.exposures, stats.exposures_dropped) == (len(EXPOSURES), 0)
    found: list[Exposure] = []
    partition_of: dict[str, set[int]] = {}
    start = dict.fromkeys(broker.partitions(topics.exposures), 0)
    with closing(broker.reader(start)) as reader:

        def all_read() -> bool:
            for record in reader.poll(100):
                found.append(decode_exposure(record))
                partition_of.setdefault(found[-1].user_id, set()).add(record.partition)
            return len(found) >= len(EXPOSURES)

        wait_until(all_read, "all exposures")
    assert sorted(found, key=lambda one: one.shown_at_ms) == EXPOSURES
    assert all(len(partitions) == 1 for partitions in partition_of.values())


def test_without_the_topic_exposures_are_dropped_and_nothing_waits(
    broker: Broker, prefix: str
) -> None:
    with closing(broker.sink()) as sink:
        stats = sent(sink, Topics(prefix).exposures)
        waited = ServingStats()
        topic = ExposureTopic(sink, Topics(prefix).exposures, waited)
        topic.send_without_waiting(EXPOSURES[0])
    assert (stats.exposures, stats.exposures_dropped) == (0, len(EXPOSURES))
    assert (waited.exposures, waited.exposures_dropped) == (0, 1)


def test_without_waiting_exposures_are_counted_once_they_are_confirmed(
    broker: Broker, prefix: str
) -> None:
    topics, stats = Topics(prefix), ServingStats()
    broker.ensure_topics([topics.exposures_spec(2)])
    with closing(broker.sink()) as sink:
        topic = ExposureTopic(sink, topics.exposures, stats)
        for exposure in EXPOSURES:
            topic.send_without_waiting(exposure)
        wait_until(lambda: stats.exposures == len(EXPOSURES), "the confirmations")
    assert stats.exposures_dropped == 0
