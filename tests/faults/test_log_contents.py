"""Transactions, and batches damaged on disk, in the log of Apache Kafka."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING, Any

import kafka
import msgspec
import pytest

from likewise import Likewise
from likewise.errors import TransientError
from likewise.log.kafka import KafkaBroker
from likewise.log.topics import Topics, TopicSpec
from likewise.messages.events import ForgetUser, Like, encode_event, event_key
from likewise.messages.ids import ItemId, UserId
from likewise.operations.status import kafka_status
from likewise.operations.verification import Verifier
from tests.answering import answering
from tests.broken_batches import send
from tests.consuming import caught_up, consuming, opened, settings_for
from tests.faults.kafka_server import kafka_server
from tests.faults.test_poison import dead_letters_in
from tests.raw_batches import Sent, batch
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from likewise.messages.events import Event
    from likewise.settings import Settings
    from likewise.store.port import LikeStore
    from tests.faults.kafka_server import KafkaServer

ANN, BOB = UserId("ann"), UserId("bob")
DUNE, ALIEN = ItemId("dune"), ItemId("alien")


@pytest.fixture(scope="module")
def server() -> Iterator[KafkaServer]:
    with kafka_server() as made:
        yield made


@pytest.fixture
def settings(server: KafkaServer, redis_url: str, prefix: str) -> Settings:
    given = settings_for(server.bootstrap_servers, redis_url, prefix)
    return msgspec.structs.replace(
        given, kafka=msgspec.structs.replace(given.kafka, session_timeout_ms=6_000)
    )


class Transactions:
    """A transactional producer."""

    def __init__(self, settings: Settings, name: str) -> None:
        self._producer: Any = kafka.KafkaProducer(
            bootstrap_servers=settings.kafka.bootstrap_servers,
            transactional_id=f"{settings.kafka.topic_prefix}{name}",
        )
        self._producer.init_transactions()
        self._topic = Topics(settings.kafka.topic_prefix).likes

    def begin(self, *events: Event) -> None:
        self._producer.begin_transaction()
        for event in events:
            self._producer.send(self._topic, encode_event(event), key=event_key(event), partition=0)
        self._producer.flush()

    def commit(self, *events: Event) -> None:
        self.begin(*events)
        self.end()

    def abort(self, *events: Event) -> None:
        self.begin(*events)
        self._producer.abort_transaction()

    def end(self) -> None:
        self._producer.commit_transaction()

    def close(self) -> None:
        self._producer.close()


@pytest.mark.timeout(180)
def test_only_committed_events_count_and_lag_reaches_0_behind_markers(
    settings: Settings,
) -> None:
    topics = Topics(settings.kafka.topic_prefix)
    with (
        opened(settings) as (broker, store),
        closing(Transactions(settings, "app")) as app,
        closing(Transactions(settings, "other")) as other,
        consuming(settings) as stats,
    ):
        app.commit(Like(ANN, DUNE), Like(BOB, DUNE))
        app.abort(Like(ANN, ALIEN), ForgetUser(BOB))
        wait_until(lambda: settled(settings, broker, store), "lag is 0 after an abort")
        assert store.likes([ANN, BOB]) == [{DUNE}, {DUNE}]
        # An open transaction holds back what others commit after it, and status and metrics report that.
        other.begin(Like(BOB, ALIEN))
        app.commit(Like(ANN, ALIEN))
        wait_until(
            lambda: stats.held_back.get("0", 0) >= 3,
            "events behind the open transaction are reported",
        )
        assert kafka_status(settings, broker, store).likes.held_back >= 3
        assert kafka_status(settings, broker, store).likes.lag == 0
        assert store.likes([ANN, BOB]) == [{DUNE}, {DUNE}]
        verified = Verifier(broker, store, topics.likes).run(lambda _read, _total: None)
        assert (verified.equal, verified.lag) == (True, 0)
        other.end()
        wait_until(lambda: store.likes([ANN, BOB]) == [{DUNE, ALIEN}] * 2, "it is applied")
        wait_until(lambda: settled(settings, broker, store), "lag is 0 after a commit")
        wait_until(lambda: stats.lag.get("0") == 0 and stats.held_back["0"] == 0, "metrics agree")
        assert stats.log_breaks.total() == 0
    store_is_rebuilt_the_same(settings)


def settled(settings: Settings, broker: KafkaBroker, store: LikeStore) -> bool:
    """Whether status, the store and the broker agree that everything is applied and committed."""
    try:
        found = kafka_status(settings, broker, store)
    except TransientError:  # the group's coordinator is only starting
        return False
    return (found.likes.lag, found.not_applied, found.likes.held_back) == (0, 0, 0) and caught_up(
        broker, store, Topics(settings.kafka.topic_prefix).likes
    )


def store_is_rebuilt_the_same(settings: Settings) -> None:
    """Fail unless an empty store becomes the same from the log."""
    fresh = msgspec.structs.replace(
        settings,
        redis=msgspec.structs.replace(
            settings.redis, key_prefix=f"{settings.redis.key_prefix}rebuilt."
        ),
    )
    topics = Topics(settings.kafka.topic_prefix)
    with opened(fresh) as (broker, store), consuming(fresh) as stats:
        wait_until(lambda: caught_up(broker, store, topics.likes), "it is rebuilt")
        assert store.likes([ANN, BOB]) == [{DUNE, ALIEN}] * 2
        verified = Verifier(broker, store, topics.likes).run(lambda _read, _total: None)
        assert (verified.equal, verified.events, verified.invalid) == (True, 4, 0)
        assert stats.events_applied == 4


@pytest.mark.timeout(180)
def test_an_aborted_request_is_not_answered_and_a_reply_behind_markers_is_received(
    settings: Settings,
) -> None:
    topics = Topics(settings.kafka.topic_prefix)
    with (
        opened(settings) as (broker, _),
        answering(broker, topics) as seen,
        Likewise(settings=settings.kafka, timeout_s=20.0) as client,
    ):
        client.recommend("ann")
        producer: Any = kafka.KafkaProducer(
            bootstrap_servers=settings.kafka.bootstrap_servers, transactional_id="requests"
        )
        with closing(producer):
            producer.init_transactions()
            producer.begin_transaction()
            for partition in range(settings.kafka.partitions):
                body = json.dumps({"user_id": "aborted"}).encode()
                producer.send(topics.requests, body, partition=partition)
                producer.send(topics.replies, b"{}", partition=partition)
            producer.flush()
            producer.abort_transaction()
            assert client.recommend("bob").items
        assert {request.user_id for request in seen} == {ANN, BOB}


@pytest.mark.timeout(180)
def test_topics_that_the_broker_compresses_with_zstd_are_read_by_consumers_servers_and_clients(
    settings: Settings,
) -> None:
    topics = Topics(settings.kafka.topic_prefix)
    names = (topics.likes, topics.requests, topics.replies)
    with closing(KafkaBroker(settings.kafka)) as broker:
        broker.ensure_topics([TopicSpec(name, 3, {"compression.type": "zstd"}) for name in names])
    with (
        opened(settings) as (broker, store),
        consuming(settings),
        answering(broker, topics) as seen,
        Likewise(settings=settings.kafka, timeout_s=20.0) as client,
    ):
        client.like("ann", "dune")
        wait_until(lambda: store.likes([ANN]) == [{DUNE}], "the like is applied")
        assert client.recommend("ann").items
        assert {request.user_id for request in seen} == {ANN}


@pytest.mark.timeout(180)
def test_a_batch_damaged_on_disk_becomes_a_dead_letter_and_the_partition_goes_on(
    settings: Settings, server: KafkaServer
) -> None:
    topics = Topics(settings.kafka.topic_prefix)
    with opened(settings) as (broker, store):
        offsets = send(
            server.bootstrap_servers,
            topics.likes,
            1,
            {
                name: batch([like("ann", name), like("bob", name)], codec)
                for name, codec in (("before", 0), ("bad", 0), ("bad too", 1), ("after", 4))
            },
        )
        server.damage(topics.likes, 1, batch=1)
        server.damage(topics.likes, 1, batch=2)
        with consuming(settings) as stats:
            wait_until(lambda: caught_up(broker, store, topics.likes), "all is applied", 20.0)
        assert store.likes([ANN, BOB]) == [{"before", "after"}] * 2
        letters = dead_letters_in(broker, topics)
        assert [(letter.offset, letter.last_offset) for letter in letters] == [(2, 3), (4, 5)]
        assert {letter.code for letter in letters} == {"undecodable_batch"}
        assert stats.dead_letters == 2
        assert offsets["after"] == 6


def like(user: str, item: str) -> Sent:
    return Sent(json.dumps({"user_id": user, "item_id": item}).encode(), user.encode())
