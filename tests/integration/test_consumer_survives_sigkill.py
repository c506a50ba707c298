"""A consumer killed with SIGKILL, again and again in mid-stream, loses and doubles nothing."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from contextlib import closing, contextmanager
from itertools import islice
from typing import TYPE_CHECKING

import pytest

from likewise.log.topics import Topics
from likewise.settings.loader import environment_of
from tests.consuming import (
    caught_up,
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
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from likewise.log.port import Broker
    from likewise.messages.events import Event
    from likewise.records import TopicPartition
    from likewise.settings import Settings
    from likewise.store.port import LikeStore

KILLS = 10
SEED = 20261122
SENT_AT_ONCE = 100
PAUSE_S = 0.02


@pytest.mark.timeout(300)
def test_ten_kills_in_mid_stream_change_nothing(
    bootstrap_servers: str, redis_url: str, prefix: str, tmp_path: Path
) -> None:
    settings = settings_for(bootstrap_servers, redis_url, prefix)
    topic = Topics(prefix).likes
    rng = random.Random(SEED)
    with opened(settings) as (broker, store):
        partitions = broker.partitions(topic)
        with a_stream_of_events(broker, topic) as sent:
            for _ in range(KILLS):
                applies_more = progress(store, partitions)
                with a_consumer_process(settings, tmp_path) as consumer:
                    wait_until(applies_more, "the consumer applies events")
                    wait_for(rng.uniform(0.0, 0.15))
                    assert consumer.poll() is None, (tmp_path / "consumer.log").read_text()
                    consumer.send_signal(signal.SIGKILL)
        with a_consumer_process(settings, tmp_path) as consumer:
            wait_until(lambda: caught_up(broker, store, topic), "the consumer catches up")
            consumer.terminate()
            assert consumer.wait(15.0) == 0, (tmp_path / "consumer.log").read_text()
        assert len(sent) > KILLS * SENT_AT_ONCE
        assert outcome_in(store) == outcome_of(sent)
        assert any(outcome_of(sent).values())


def progress(store: LikeStore, partitions: Sequence[TopicPartition]) -> Callable[[], bool]:
    """Return a condition that holds once more is applied than now."""
    before = positions_sum(store, partitions)
    return lambda: positions_sum(store, partitions) > before


@contextmanager
def a_stream_of_events(broker: Broker, topic: str) -> Iterator[list[Event]]:
    """Publish events all the while; what was published is complete after the block."""
    sent: list[Event] = []
    stop = threading.Event()

    def publish() -> None:
        events = random_events(SEED)
        with closing(broker.sink()) as sink:
            while not stop.wait(PAUSE_S):
                some = list(islice(events, SENT_AT_ONCE))
                send(sink, topic, some)
                sent.extend(some)

    publisher = threading.Thread(target=publish, name="publisher")
    publisher.start()
    try:
        yield sent
    finally:
        stop.set()
        publisher.join(60.0)
        assert not publisher.is_alive()


@contextmanager
def a_consumer_process(settings: Settings, directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = {**os.environ, **environment_of(settings)}
    with (
        (directory / "consumer.log").open("ab") as log,
        subprocess.Popen(
            [sys.executable, "-m", "consumers"], env=environment, stderr=log
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def wait_for(seconds: float) -> None:
    """Let the consumer come to some instant of its work: the delay is the test's subject."""
    threading.Event().wait(seconds)
