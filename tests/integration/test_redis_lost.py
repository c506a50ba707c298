"""FLUSHALL while services run: the log is read again, and no dead letter is written twice."""

from __future__ import annotations

from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING

import pytest
from redis import Redis

from likewise.embedded import EmbeddedRedis
from likewise.log.topic_listing import TopicListing
from likewise.log.topics import Topics
from likewise.messages.ids import ItemId
from likewise.operations.dead_letter_replay import read_dead_letters
from likewise.store.port import Changes
from serving.store_view import StoreView
from tests.consuming import (
    caught_up,
    consuming,
    opened,
    outcome_in,
    outcome_of,
    random_events,
    send,
    settings_for,
)
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from likewise.log.kafka import KafkaBroker
    from likewise.records import TopicPartition

_POISON = 12


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis(tmp_path / "redis") as redis:
        yield redis


def test_likes_are_restored_and_no_event_becomes_a_dead_letter_twice(
    server: EmbeddedRedis, bootstrap_servers: str, prefix: str
) -> None:
    settings = settings_for(bootstrap_servers, server.url, prefix)
    topics = Topics(prefix)
    events = list(islice(random_events(5), 200))
    with opened(settings) as (broker, store), closing(broker.sink()) as sink:
        for number in range(_POISON):
            sink.send(topics.likes, b"poison %d" % number, key=b"%d" % number).result(10)
        send(sink, topics.likes, events)

        def settled() -> bool:
            return caught_up(broker, store, topics.likes) and outcome_in(store) == outcome_of(
                events
            )

        with consuming(settings):
            wait_until(settled, "everything is applied")
            assert len(dead_lettered(broker, topics)) == _POISON
            lose(server)
            wait_until(settled, "everything is applied again, by the same consumer")
        lose(server)
        with consuming(settings):
            wait_until(settled, "everything is applied again, by another consumer")
            sink.send(topics.likes, b"new poison", key=b"new").result(10)
            wait_until(
                lambda: len(dead_lettered(broker, topics)) > _POISON,
                "the new poison is a dead letter",
            )
        assert (
            len(dead_lettered(broker, topics))
            == len(set(dead_lettered(broker, topics)))
            == _POISON + 1
        )


def test_a_server_idle_while_redis_was_lost_sees_what_is_retired_now(
    server: EmbeddedRedis, bootstrap_servers: str, prefix: str
) -> None:
    settings = settings_for(bootstrap_servers, server.url, prefix)
    with opened(settings) as (broker, store):
        view = StoreView(store, TopicListing(broker.topic_sizes), Topics(prefix).likes)
        store.apply(Changes(retire={ItemId("before")}), {})
        assert view.look_up([]).retired == {"before"}
        lose(server)
        store.apply(Changes(retire={ItemId("after")}), {})
        assert view.look_up([]).retired == {"after"}


def lose(server: EmbeddedRedis) -> None:
    with Redis.from_url(server.url) as operator:
        operator.flushall()


def dead_lettered(broker: KafkaBroker, topics: Topics) -> list[tuple[TopicPartition, int]]:
    """Return the source of every dead letter."""
    partitions = broker.partitions(topics.dead_letters)
    begin, end = broker.beginning_offsets(partitions), broker.end_offsets(partitions)
    letters = [found.letter for found in read_dead_letters(broker, begin, end)]
    return [(letter.source, letter.offset) for letter in letters if letter is not None]
