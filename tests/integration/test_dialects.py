"""Which broker is asked what: the workarounds for Tansu run on Tansu, and on no other broker."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import kafka
import pytest

from likewise.log.kafka import KafkaBroker, consumers
from likewise.log.kafka.fetching import Consumer
from likewise.log.kafka.reading import KafkaSource
from likewise.log.kafka.tansu import TansuSource
from likewise.log.topics import TopicSpec
from likewise.records import TopicPartition
from tests.conftest import IN_CONTAINERS
from tests.services import kafka_settings

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def broker(bootstrap_servers: str, prefix: str) -> Iterator[KafkaBroker]:
    with closing(KafkaBroker(kafka_settings(bootstrap_servers, prefix))) as made:
        yield made


@pytest.fixture
def where(broker: KafkaBroker, prefix: str) -> TopicPartition:
    """A partition with five records in one batch."""
    topic = f"{prefix}events"
    broker.ensure_topics([TopicSpec(topic, 1, {})])
    with closing(broker.sink(linger_ms=100)) as sink:
        for _ in range(5):
            sink.send(topic, b"x")
    return TopicPartition(topic, 0)


def test_only_tansu_is_fetched_from_to_learn_where_a_partition_ends(
    broker: KafkaBroker, where: TopicPartition, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[dict[str, Any]] = []

    class Counted(Consumer):
        def __init__(self, **options: Any) -> None:
            opened.append(options)
            super().__init__(**options)

    monkeypatch.setattr(consumers, "Consumer", Counted)
    assert broker.end_offsets([where]) == {where: 5}
    assert len(opened) == (0 if IN_CONTAINERS else 1)


def test_only_tansu_is_searched_from_the_beginning_for_a_time(
    broker: KafkaBroker, where: TopicPartition
) -> None:
    later_ms = 2**62
    assert broker.offsets_since([where], -1) == {where: 0}, "before all records"
    assert broker.offsets_since([where], later_ms) == {where: 5 if IN_CONTAINERS else 0}


def test_only_on_tansu_a_member_stands_in_for_a_leader_that_is_gone(
    broker: KafkaBroker, where: TopicPartition
) -> None:
    with closing(broker.source("group", [where.topic], max_records=1)) as member:
        assert type(member) is (KafkaSource if IN_CONTAINERS else TansuSource)


def test_one_topic_is_asked_for_by_name(
    broker: KafkaBroker, where: TopicPartition, monkeypatch: pytest.MonkeyPatch
) -> None:
    describe, asked = kafka.KafkaAdminClient.describe_topics, list[Any]()

    def describe_topics(admin: Any, topics: Any = None) -> Any:
        asked.append(topics)
        return describe(admin, topics)

    monkeypatch.setattr(kafka.KafkaAdminClient, "describe_topics", describe_topics)
    assert broker.partitions(where.topic) == [where]
    assert broker.log_id(where.topic) is not None
    assert asked == [[where.topic], [where.topic]]


def test_what_is_worked_around_is_still_wrong_in_tansu(
    broker: KafkaBroker, where: TopicPartition
) -> None:
    """Fails when Tansu is repaired: then the workaround can go."""
    listed = broker.least_ends([where])[where]
    newest = broker.list_offsets([where], 2**62)[where]
    assert (listed, newest) == ((5, -1) if IN_CONTAINERS else (1, 0))
