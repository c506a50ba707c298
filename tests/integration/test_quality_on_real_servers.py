"""Prequential quality on a real broker and a real Redis, up to the page that Prometheus reads."""

from __future__ import annotations

import time
import urllib.request
from contextlib import closing
from typing import TYPE_CHECKING

import msgspec
import pytest

from likewise.cli.children import child_environment
from likewise.cli.supervision import STOP_TIMEOUT_S, Service, ServiceSpec
from likewise.embedded import free_port
from likewise.log.topics import Topics
from likewise.messages.events import Like
from likewise.messages.ids import UserId
from likewise.settings import ModelSettings
from tests.consuming import caught_up, consuming, opened, send, settings_for
from tests.serving_rig import item, like, likes_but_one, write_block_model
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from likewise.log.port import Broker
    from likewise.settings import Settings
    from likewise.store.port import LikeStore

OLD, NEW = "20260101T000000.000Z", "20260101T000001.000Z"
BLOCKS = range(4, 10)
"""Of twelve; their items are not among the 20 most popular."""


@pytest.fixture
def settings(bootstrap_servers: str, redis_url: str, prefix: str, tmp_path: Path) -> Settings:
    """Settings with which every like is compared with the model."""
    found = settings_for(bootstrap_servers, redis_url, prefix)
    return msgspec.structs.replace(
        found,
        consumer=msgspec.structs.replace(found.consumer, quality_samples_per_s=1_000.0),
        model=ModelSettings(directory=tmp_path / "models"),
    )


def user(block: int) -> UserId:
    return UserId(f"user of {block}")


def prepare(settings: Settings, store: LikeStore) -> None:
    """Announce a model of twelve blocks, and let a user of each like all of it but one item."""
    store.announce_model(write_block_model(settings.model.directory, OLD, blocks=12))
    for block in BLOCKS:
        like(store, user(block), likes_but_one(block))


def publish(broker: Broker, settings: Settings, likes: list[Like]) -> None:
    with closing(broker.sink()) as sink:
        send(sink, Topics(settings.kafka.topic_prefix).likes, likes)


def predicted() -> list[Like]:
    """Return the likes that the model expects: each user's missing item."""
    return [Like(user(block), item(block, 0)) for block in BLOCKS]


def surprising() -> list[Like]:
    """Return likes across the blocks, which neither the model nor the popular list expects."""
    return [Like(user(block), item(9 if block != 9 else 8, 4)) for block in BLOCKS]


def test_the_hit_rate_follows_the_likes_and_a_new_model_is_taken_up(settings: Settings) -> None:
    with opened(settings) as (broker, store):
        prepare(settings, store)
        with consuming(settings) as stats:
            wait_until(
                lambda: stats.quality is not None and stats.quality.model_version == OLD,
                "there is a model to ask",
            )
            assert stats.quality is not None
            quality = stats.quality
            publish(broker, settings, predicted())
            wait_until(lambda: quality.window == len(BLOCKS), "the questions are answered")
            assert (quality.hit_rate, quality.popular_hit_rate) == (1.0, 0.0)
            publish(broker, settings, surprising())
            wait_until(lambda: quality.window == 2 * len(BLOCKS), "the questions are answered")
            assert quality.hit_rate == 0.5
            store.announce_model(write_block_model(settings.model.directory, NEW, blocks=12))
            wait_until(lambda: quality.model_version == NEW, "the new model is asked")
        assert stats.events_applied == 2 * len(BLOCKS)
        assert caught_up(broker, store, Topics(settings.kafka.topic_prefix).likes)
        assert not quality.dropped
        # Everything that was asked about is in Redis all the same.
        assert store.likes([user(4)]) == [{*likes_but_one(4), item(4, 0), item(9, 4)}]


def test_prometheus_reads_the_hit_rate_off_a_consumer(settings: Settings) -> None:
    port = free_port()
    lines: list[str] = []
    spec = ServiceSpec("consumer", ["consume"], child_environment(settings, port), port)
    service = Service(spec, lambda _name, line: lines.append(line))

    def metrics() -> dict[str, float]:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as page:
            text = page.read().decode()
        values = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, _, value in values}

    with opened(settings) as (broker, store):
        prepare(settings, store)
        service.start()
        try:
            wait_until(service.ready, f"the consumer is ready: {lines}")
            wait_until(
                lambda: metrics()["likewise_consumer_quality_measuring"] == 1.0,
                f"there is a model to ask: {lines}",
            )
            assert "likewise_consumer_quality_hit_rate" not in metrics(), "nothing to tell yet"
            publish(broker, settings, [*predicted(), *surprising()])
            wait_until(
                lambda: metrics()["likewise_consumer_quality_window"] == 2 * len(BLOCKS),
                "the questions are answered",
            )
            found = metrics()
        finally:
            service.ask_to_stop()
            service.await_end(time.monotonic() + STOP_TIMEOUT_S)
    assert found["likewise_consumer_quality_hit_rate"] == 0.5
    assert found["likewise_consumer_quality_popular_hit_rate"] == 0.0
    assert found["likewise_consumer_quality_popular_hits_total"] == 0.0
    assert found['likewise_consumer_quality_questions_total{outcome="hit"}'] == len(BLOCKS)
    assert found['likewise_consumer_quality_questions_total{outcome="miss"}'] == len(BLOCKS)
