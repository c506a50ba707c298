"""Clients that hash keys differently: forgotten users stay forgotten, also when Redis is rebuilt."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from confluent_kafka import Producer
from redis import Redis, RedisCluster

from consumers import scattering
from consumers.history import floors_ahead
from likewise.embedded import embedded_redis
from likewise.log.partitioners import partition_of
from likewise.log.ranges import read_between
from likewise.log.topics import Topics
from likewise.messages.event_decoding import decode_event
from likewise.messages.events import ForgetUser, Like, RestoreItem, RetireItem, Unlike
from likewise.messages.ids import ItemId, UserId
from likewise.operations.verification import Verifier
from tests.consuming import caught_up, consuming, opened, send, settings_for
from tests.ordering import Log, outcome_of_log
from tests.redis_cluster import redis_cluster
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from likewise.log.port import Broker
    from likewise.messages.events import Event
    from likewise.settings import Settings
    from likewise.store.port import LikeStore

USERS = [UserId(f"user-{number}") for number in range(60)]
ITEMS = [ItemId(f"item-{number}") for number in range(5)]
FORGOTTEN, BACK = USERS[::3], USERS[::6]
AN_HOUR_MS = 3_600_000


@pytest.fixture(params=["one Redis", "a Redis Cluster"])
def settings(
    request: pytest.FixtureRequest, bootstrap_servers: str, prefix: str, tmp_path: Path
) -> Iterator[Settings]:
    """Settings with a Redis that the test may empty."""
    on_cluster = request.param == "a Redis Cluster"
    started = redis_cluster(tmp_path) if on_cluster else embedded_redis(tmp_path)
    with started as url:
        given = settings_for(bootstrap_servers, url, prefix)
        redis = msgspec.structs.replace(given.redis, cluster=on_cluster)
        yield msgspec.structs.replace(given, redis=redis)


@pytest.mark.timeout(180)
def test_no_forgotten_user_comes_back_whatever_partition_is_read_first(
    settings: Settings,
) -> None:
    with (
        opened(settings) as (broker, store),
        consuming(settings) as one,
        consuming(settings) as two,
    ):
        publish_all(broker, settings)
        wait_until(lambda: caught_up(broker, store, likes_topic(settings)), "all is applied")
        check(broker, store, settings)
        assert max(one.scattered_users, two.scattered_users) > 0
        lose_redis(settings)
        wait_until(lambda: caught_up(broker, store, likes_topic(settings)), "Redis is rebuilt")
        check(broker, store, settings)


@pytest.mark.timeout(180)
def test_a_backlog_behind_a_long_history_is_searched_once_for_all_scattered_users(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[dict[UserId, int]] = []

    def search(*arguments: Any) -> dict[UserId, int]:
        found.append(floors_ahead(*arguments))
        return found[-1]

    monkeypatch.setattr(scattering, "LONG_HISTORY", 60)
    monkeypatch.setattr(scattering, "floors_ahead", search)
    settings = msgspec.structs.replace(
        settings, consumer=msgspec.structs.replace(settings.consumer, max_records=20)
    )
    with opened(settings) as (broker, store):
        publish_all(broker, settings)
        with consuming(settings), consuming(settings):
            wait_until(lambda: caught_up(broker, store, likes_topic(settings)), "all is applied")
        check(broker, store, settings)
        assert max(map(len, found)) > 10, "many users are found by one search"
        lose_redis(settings)
        with consuming(settings), consuming(settings):
            wait_until(lambda: caught_up(broker, store, likes_topic(settings)), "Redis is rebuilt")
        check(broker, store, settings)


@pytest.mark.timeout(180)
def test_where_all_clients_use_the_partitioner_that_is_set_nobody_is_scattered(
    settings: Settings,
) -> None:
    settings = msgspec.structs.replace(
        settings, kafka=msgspec.structs.replace(settings.kafka, partitioner="crc32")
    )
    with opened(settings) as (broker, store), consuming(settings):
        with by_confluent(settings) as publish:
            for user in USERS:
                publish(user, "like", ITEMS[0])
        with closing(broker.sink()) as sink:
            send(sink, likes_topic(settings), [Like(user, ITEMS[1]) for user in USERS])
        wait_until(lambda: caught_up(broker, store, likes_topic(settings)), "all is applied")
        assert store.likes(USERS) == [{*ITEMS[:2]}] * len(USERS)
        assert store.scattered_count() == 0


def lose_redis(settings: Settings) -> None:
    """Empty every Redis server that the settings lead to."""
    kind = RedisCluster if settings.redis.cluster else Redis
    with closing(kind.from_url(settings.redis.url)) as client:
        client.flushall()


def publish_all(broker: Broker, settings: Settings) -> None:
    """Publish with two clients in turn; the last events have old timestamps or quoted keys."""
    topic = likes_topic(settings)
    with by_confluent(settings) as publish:
        for user in USERS:
            for item in ITEMS:
                publish(user, "like", item)
    with closing(broker.sink()) as sink:
        send(sink, topic, [Unlike(user, ITEMS[1]) for user in USERS])
        send(sink, topic, [ForgetUser(user) for user in FORGOTTEN])
        send(sink, topic, [RetireItem(item) for item in ITEMS[:2]] + [RestoreItem(ITEMS[1])])
    with by_confluent(settings) as publish:
        for user in BACK:
            publish(user, "like", ITEMS[2])
        # Late events with old timestamps take back nothing newer from another partition.
        for user in set(USERS) - set(BACK):
            if is_elsewhere(user, settings):
                publish(user, "like", ITEMS[1], ago_ms=AN_HOUR_MS)
        for user in USERS:
            publish(user, "like", ITEMS[4], key=json.dumps(user))


def check(broker: Broker, store: LikeStore, settings: Settings) -> None:
    topic = likes_topic(settings)
    likes, _, retired = outcome_of_log(log_of(broker, topic))
    assert dict(zip(USERS, store.likes(USERS), strict=True)) == {
        user: likes.get(user, set()) for user in USERS
    }
    assert store.retired()[1] == retired == {ITEMS[0]}
    for user in USERS:
        before = set() if user in FORGOTTEN else {ITEMS[0], ITEMS[2], ITEMS[3]}
        assert likes[user] == before | ({ITEMS[2]} if user in BACK else set()) | {ITEMS[4]}
    found = Verifier(broker, store, topic).run(lambda _read, _total: None)
    assert found.proven, found


def is_elsewhere(user: str, settings: Settings) -> bool:
    """Whether the two clients put the user's events into different partitions."""
    key, count = user.encode(), settings.kafka.partitions
    return partition_of("crc32", key, count) != partition_of("murmur2", key, count)


def log_of(broker: Broker, topic: str) -> Log:
    """Return every event of the topic with its timestamp, by partition."""
    partitions = broker.partitions(topic)
    log: defaultdict[int, list[tuple[int, Event]]] = defaultdict(list)
    start, end = broker.beginning_offsets(partitions), broker.end_offsets(partitions)
    for records in read_between(broker, start, end):
        for record in records:
            log[record.partition].append((record.timestamp, decode_event(record)))
    return log


@contextmanager
def by_confluent(settings: Settings) -> Iterator[Callable[..., None]]:
    """Yield a function that publishes an event with librdkafka's defaults; flush at the end."""
    producer = Producer({"bootstrap.servers": settings.kafka.bootstrap_servers})

    def publish(
        user: str, action: str, item: str, *, key: str | None = None, ago_ms: int = 0
    ) -> None:
        body = {"action": action, "user_id": user, "item_id": item}
        producer.produce(
            likes_topic(settings),
            json.dumps(body).encode(),
            key=key or user,
            timestamp=time.time_ns() // 1_000_000 - ago_ms,
        )

    yield publish
    assert producer.flush(30.0) == 0


def likes_topic(settings: Settings) -> str:
    return Topics(settings.kafka.topic_prefix).likes
