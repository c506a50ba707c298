"""The consumer between a real broker and a real Redis, with what happens to both in production."""

from __future__ import annotations

import threading
from contextlib import ExitStack, closing
from itertools import islice
from typing import TYPE_CHECKING

import msgspec
import pytest
from redis import Redis

from consumers.service import run_consumer
from likewise.embedded import EmbeddedRedis
from likewise.errors import SettingsError
from likewise.log.kafka import KafkaBroker
from likewise.log.topics import Topics
from likewise.messages.dead_letters import decode_dead_letter
from likewise.messages.events import Like
from likewise.messages.ids import ItemId
from likewise.records import TopicPartition
from likewise.settings import Secret
from likewise.store.port import Advance, Changes
from likewise.store.redis import RedisStore
from tests.consuming import (
    ITEMS,
    USERS,
    caught_up,
    consuming,
    opened,
    outcome_in,
    outcome_of,
    positions_sum,
    random_events,
    send,
    settings_for,
)
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from likewise.messages.events import Event
    from likewise.records import Record
    from likewise.settings import Settings

USER = USERS[0]


@pytest.fixture
def settings(bootstrap_servers: str, redis_url: str, prefix: str) -> Settings:
    return settings_for(bootstrap_servers, redis_url, prefix)


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    """A Redis for this test alone, which may break it."""
    with EmbeddedRedis(tmp_path / "redis", unrestricted=True) as redis:
        yield redis


def test_likes_become_sets_and_the_commits_follow(settings: Settings) -> None:
    events = list(islice(random_events(1), 2_000))
    with opened(settings) as (broker, store), consuming(settings) as stats:
        publish(broker, settings, events)
        wait_until_applied(broker, store, settings)
        assert outcome_in(store) == outcome_of(events)
        partitions = broker.partitions(likes_topic(settings))
        wait_until(
            lambda: (
                broker.committed(settings.consumer.group, partitions)
                == broker.end_offsets(partitions)
            ),
            "everything is committed",
        )
        assert stats.events_applied == len(events)


def test_the_sets_are_plain_redis_sets(settings: Settings) -> None:
    with (
        opened(settings) as (broker, store),
        consuming(settings),
        Redis.from_url(settings.redis.url, decode_responses=True) as redis,
    ):
        publish(broker, settings, [Like(USER, item_id) for item_id in ITEMS])
        wait_until_applied(broker, store, settings)
        assert redis.smembers(f"{settings.redis.key_prefix}likes:{USER}") == set(ITEMS)


def test_bad_events_come_whole_to_the_dead_letters_and_spoil_no_other(settings: Settings) -> None:
    bad: list[bytes | None] = [b"not json", b"\xff\xfe", None, b"{}", b"[" * 100_000]
    bad.append(b"x" * 1_000_000)
    topics = Topics(settings.kafka.topic_prefix)
    with opened(settings) as (broker, store), closing(broker.sink()) as sink:
        for number, value in enumerate(bad):
            sink.send(topics.likes, value, key=USER.encode(), headers=[("n", b"%d" % number)])
            send(sink, topics.likes, [Like(USER, ITEMS[number])])
        with consuming(settings) as stats:
            wait_until_applied(broker, store, settings)
            assert store.likes([USER]) == [set(ITEMS[: len(bad)])]
        assert stats.dead_letters == len(bad)
        letters = [
            decode_dead_letter(record)
            for record in everything_in(broker, topics.dead_letters, len(bad))
        ]
    assert [letter.headers for letter in letters] == [
        (("n", b"%d" % number),) for number in range(len(bad))
    ]
    # An empty value and none are one to some brokers.
    assert [letter.value or None for letter in letters] == bad
    assert {letter.key for letter in letters} == {USER.encode()}
    assert [letter.code for letter in letters] == [
        "not_json",
        "not_json",
        "null_value",
        "missing_field",
        "too_large",
        "too_large",
    ]


def test_members_that_come_and_go_lose_nothing(settings: Settings) -> None:
    events = list(islice(random_events(2), 6_000))
    with opened(settings) as (broker, store), ExitStack() as members:
        first = members.enter_context(ExitStack())
        first.enter_context(consuming(settings))
        publish(broker, settings, events[:2_000])
        members.enter_context(consuming(settings))
        publish(broker, settings, events[2_000:4_000])
        wait_until(
            lambda: positions_sum(store, broker.partitions(likes_topic(settings))) > 2_000,
            "the work goes on after a join",
        )
        first.close()
        publish(broker, settings, events[4_000:])
        wait_until_applied(broker, store, settings)
        assert outcome_in(store) == outcome_of(events)


def test_an_empty_redis_is_filled_from_the_log_whatever_was_committed(settings: Settings) -> None:
    events = list(islice(random_events(3), 500))
    with opened(settings) as (broker, store):
        publish(broker, settings, events)
        with consuming(settings):
            wait_until_applied(broker, store, settings)
        with Redis.from_url(settings.redis.url) as redis:
            # All at once, as a server loses them: the consumer reads again what is gone at once.
            redis.delete(*redis.scan_iter(f"{settings.redis.key_prefix}*"))
        assert not any(outcome_in(store).values())
        with consuming(settings):
            wait_until_applied(broker, store, settings)
        assert outcome_in(store) == outcome_of(events)


def test_a_redis_killed_under_way_is_waited_for_and_what_it_lost_is_read_again(
    bootstrap_servers: str, own_redis: EmbeddedRedis, prefix: str
) -> None:
    settings = settings_for(bootstrap_servers, own_redis.url, prefix)
    events = list(islice(random_events(4), 5_000))
    with opened(settings) as (broker, store), consuming(settings) as stats:
        publish(broker, settings, events[:2_500])
        wait_until(lambda: stats.events_applied > 0, "the first events are applied")
        own_redis.kill()
        publish(broker, settings, events[2_500:])
        wait_until(lambda: stats.retries > 0, "the consumer misses Redis")
        own_redis.start()
        wait_until_applied(broker, store, settings)
        assert outcome_in(store) == outcome_of(events)


def test_a_quiet_topic_is_read_again_when_redis_comes_back_without_its_last_writes(
    settings: Settings,
) -> None:
    with opened(settings) as (broker, store), consuming(settings):
        publish(broker, settings, [Like(USER, ITEMS[0]), Like(USER, ITEMS[1])])
        wait_until_applied(broker, store, settings)
        with Redis.from_url(settings.redis.url) as redis:
            # All at once, as a server loses them: the consumer reads again what is gone at once.
            redis.delete(*redis.scan_iter(f"{settings.redis.key_prefix}*"))
        wait_until(lambda: store.likes([USER]) == [set(ITEMS[:2])], "the likes are back")


def test_a_full_redis_stops_the_commits_until_there_is_room(
    bootstrap_servers: str, own_redis: EmbeddedRedis, prefix: str
) -> None:
    settings = settings_for(bootstrap_servers, own_redis.url, prefix)
    with (
        opened(settings) as (broker, store),
        Redis.from_url(own_redis.url) as operator,
        consuming(settings) as stats,
    ):
        publish(broker, settings, [Like(USER, ITEMS[0])])
        partitions = broker.partitions(likes_topic(settings))

        def committed() -> int:
            offsets = broker.committed(settings.consumer.group, partitions)
            return sum(offset or 0 for offset in offsets.values())

        wait_until(lambda: committed() == 1, "the first like is committed")
        operator.config_set("maxmemory", 1)
        publish(broker, settings, [Like(USER, ITEMS[1])])
        wait_until(lambda: stats.retries >= 3, "the consumer tries again")
        assert committed() == 1
        assert store.likes([USER]) == [{ITEMS[0]}]
        operator.config_set("maxmemory", 0)
        wait_until_applied(broker, store, settings)
        assert store.likes([USER]) == [set(ITEMS[:2])]


def test_a_redis_turned_replica_stops_the_work_until_it_is_primary_again(
    bootstrap_servers: str, own_redis: EmbeddedRedis, prefix: str, tmp_path: Path
) -> None:
    settings = settings_for(bootstrap_servers, own_redis.url, prefix)
    with (
        EmbeddedRedis(tmp_path / "primary", unrestricted=True) as primary,
        opened(settings) as (broker, store),
        Redis.from_url(own_redis.url) as operator,
        consuming(settings) as stats,
    ):
        publish(broker, settings, [Like(USER, ITEMS[0])])
        wait_until_applied(broker, store, settings)
        operator.replicaof("127.0.0.1", primary.port)
        publish(broker, settings, [Like(USER, ITEMS[1])])
        wait_until(lambda: stats.retries > 0, "the consumer is refused")
        operator.replicaof("NO", "ONE")
        # The replica began as an empty copy: all is read again.
        wait_until(lambda: store.likes([USER]) == [set(ITEMS[:2])], "the likes are back")


def test_a_wrong_password_ends_the_consumer_with_the_setting_s_name(
    bootstrap_servers: str, own_redis: EmbeddedRedis, prefix: str
) -> None:
    settings = settings_for(bootstrap_servers, own_redis.url, prefix)
    wrong = msgspec.structs.replace(settings.redis, password=Secret("wrong"))
    settings = msgspec.structs.replace(settings, redis=wrong)
    with Redis.from_url(own_redis.url) as operator:
        operator.config_set("requirepass", "right")
    with (
        closing(KafkaBroker(settings.kafka)) as broker,
        closing(RedisStore(settings.redis)) as store,
        pytest.raises(SettingsError, match="LIKEWISE_REDIS_PASSWORD"),
    ):
        run_consumer(settings, broker, store, threading.Event())


def test_a_topic_made_anew_is_read_from_its_beginning(settings: Settings) -> None:
    topic = likes_topic(settings)
    with opened(settings) as (broker, store):
        beyond = {partition: Advance(None, 1_000_000) for partition in broker.partitions(topic)}
        store.apply(Changes(), beyond)
        publish(broker, settings, [Like(USER, ItemId("new"))])
        with consuming(settings):
            wait_until_applied(broker, store, settings)
        assert store.likes([USER]) == [{"new"}]


def likes_topic(settings: Settings) -> str:
    return Topics(settings.kafka.topic_prefix).likes


def publish(broker: KafkaBroker, settings: Settings, events: Iterable[Event]) -> None:
    with closing(broker.sink(linger_ms=5)) as sink:
        send(sink, likes_topic(settings), events)


def wait_until_applied(broker: KafkaBroker, store: RedisStore, settings: Settings) -> None:
    topic = likes_topic(settings)
    wait_until(lambda: caught_up(broker, store, topic), "everything published is applied")


def everything_in(broker: KafkaBroker, topic: str, count: int) -> list[Record]:
    records: list[Record] = []
    start = {TopicPartition(topic, 0): 0}
    with closing(broker.reader(start)) as reader:

        def complete() -> bool:
            records.extend(reader.poll(100))
            return len(records) >= count

        wait_until(complete, f"{topic} holds {count} records")
    return records
