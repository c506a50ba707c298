"""Redis fails over while events come in: consumers and indexer go on at the new primary."""

from __future__ import annotations

import threading
from contextlib import closing, contextmanager
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

import msgspec
import pytest
from redis import Redis

from indexer.service import run_indexer
from likewise.embedded import EmbeddedRedis
from likewise.errors import TransientError
from likewise.log.topics import Topics
from likewise.settings import IndexerSettings, ModelSettings, RedisSettings, Secret
from likewise.store.redis import RedisStore
from tests.consuming import (
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
from tests.faults.proxy import proxy_for
from tests.sentinels import PASSWORD, SERVICE, sentinels
from tests.services import in_a_thread
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from likewise.log.kafka import KafkaBroker
    from likewise.messages.events import Event
    from likewise.settings import Settings
    from likewise.store.port import LikeStore

_BATCH = 50


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[EmbeddedRedis, EmbeddedRedis]]:
    """A primary, and a replica that has caught up with it."""
    password = "pair-of-servers"
    with (
        EmbeddedRedis(tmp_path / "first", password=password, unrestricted=True) as first,
        EmbeddedRedis(tmp_path / "second", password=password, unrestricted=True) as second,
        Redis.from_url(first.url) as at_first,
        Redis.from_url(second.url) as at_second,
    ):
        for client in (at_first, at_second):
            client.config_set("masterauth", password)
            client.config_set("repl-diskless-sync-delay", 0)
        at_second.replicaof("127.0.0.1", str(first.port))
        wait_until(lambda: _is_linked(at_second), "the replica follows")
        yield first, second


def _is_linked(replica: Redis) -> bool:
    return replica.info("replication").get("master_link_status") == "up"


class Traffic:
    """Publishes random events in a thread, until it is ended; remembers them in their order."""

    def __init__(self, broker: KafkaBroker, topic: str) -> None:
        self.sent: list[Event] = []
        self._broker = broker
        self._topic = topic
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Traffic:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        events = random_events(seed=7)
        with closing(self._broker.sink()) as sink:
            while not self._end.wait(0.02):
                batch = list(islice(events, _BATCH))
                send(sink, self._topic, batch)
                self.sent += batch


@contextmanager
def deployment(settings: Settings, broker: KafkaBroker) -> Iterator[Traffic]:
    """Run a consumer and an indexer, with events coming in."""
    topic = Topics(settings.kafka.topic_prefix).likes
    with (
        consuming(settings),
        in_a_thread(settings, "indexer", partial(run_indexer, settings)),
        Traffic(broker, topic) as traffic,
    ):
        yield traffic


def fast(settings: Settings, redis: RedisSettings, models: Path) -> Settings:
    return msgspec.structs.replace(
        settings,
        redis=redis,
        model=ModelSettings(directory=models, ranker="neighbours"),
        indexer=IndexerSettings(interval_s=0.5, min_interval_s=0.2, lease_ms=1_000),
    )


def await_moving(store: LikeStore, broker: KafkaBroker, topic: str, what: str) -> None:
    """Return once more events are applied and another model is announced than just now.

    A sentinel ends the connections of the replica that it makes a primary, so a call may fail.
    """
    partitions = broker.partitions(topic)
    before: tuple[int, bytes | None] | None = None

    def both_moved() -> bool:
        nonlocal before
        try:
            applied, model = positions_sum(store, partitions), store.model_announcement()
        except TransientError:
            return False
        before = before or (applied, model)
        return applied > before[0] + 2 * _BATCH and model not in {None, before[1]}

    wait_until(both_moved, what)


def test_a_name_that_moves_is_followed_though_the_old_connections_stay(
    bootstrap_servers: str,
    prefix: str,
    tmp_path: Path,
    pair: tuple[EmbeddedRedis, EmbeddedRedis],
) -> None:
    first, second = pair
    direct = settings_for(bootstrap_servers, second.url, prefix)
    topic = Topics(prefix).likes
    with opened(direct) as (broker, at_second), proxy_for(first.port) as name:
        url = first.url.replace(str(first.port), str(name.port))
        settings = fast(direct, RedisSettings(url=url, key_prefix=prefix), tmp_path / "models")
        with deployment(settings, broker) as traffic:
            await_moving(at_second, broker, topic, "events reach the replica through the primary")
            with Redis.from_url(first.url) as old, Redis.from_url(second.url) as new:
                new.replicaof("NO", "ONE")
                old.replicaof("127.0.0.1", str(second.port))
                name.lead_to(second.port)
                await_moving(at_second, broker, topic, "consumer and indexer follow the name")
                assert old.info("replication")["role"] == "slave"
        assert name.resets == 0, "the old connections were never cut from outside"
        _assert_nothing_is_lost(settings, broker, at_second, traffic.sent)


def test_a_sentinel_failover_under_load_loses_nothing(
    bootstrap_servers: str,
    prefix: str,
    tmp_path: Path,
    pair: tuple[EmbeddedRedis, EmbeddedRedis],
) -> None:
    first, second = pair
    direct = settings_for(bootstrap_servers, second.url, prefix)
    topic = Topics(prefix).likes
    with opened(direct) as (broker, at_second), sentinels(tmp_path, first) as ports:
        hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
        redis = RedisSettings(
            url=f"redis+sentinel://{hosts}/{SERVICE}/0",
            password=Secret(first.password),
            sentinel_password=Secret(PASSWORD),
            key_prefix=prefix,
            timeout_s=2.0,
        )
        settings = fast(direct, redis, tmp_path / "models")
        with deployment(settings, broker) as traffic:
            await_moving(at_second, broker, topic, "events reach the replica through the primary")
            wait_until(lambda: _know_each_other(ports), "the sentinels know each other")
            first.kill()
            await_moving(at_second, broker, topic, "consumer and indexer go on at the new primary")
        with closing(RedisStore(redis)) as through_sentinels:
            _assert_nothing_is_lost(settings, broker, through_sentinels, traffic.sent)


def _know_each_other(ports: list[int]) -> bool:
    for port in ports:
        with Redis(port=port, password=PASSWORD, decode_responses=True) as sentinel:
            state = sentinel.sentinel_masters()[SERVICE]
            if state["num-other-sentinels"] < len(ports) - 1 or state["num-slaves"] < 1:
                return False
    return True


def _assert_nothing_is_lost(
    settings: Settings, broker: KafkaBroker, store: LikeStore, sent: list[Event]
) -> None:
    topic = Topics(settings.kafka.topic_prefix).likes
    with consuming(settings):
        wait_until(lambda: caught_up(broker, store, topic), "everything is applied")
    assert outcome_in(store) == outcome_of(sent)
