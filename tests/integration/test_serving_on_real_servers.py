"""The server on a real broker and a real Redis: Spring's headers in, the right answer out."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import redis
from threadpoolctl import threadpool_info

from likewise.kafka_streams import KafkaBroker
from likewise.redis_store import RedisStore
from likewise.requests import CORRELATION_HEADER, REPLY_TOPIC_HEADER, partition_header
from likewise.settings import KafkaSettings, ModelSettings, RedisSettings, ServingSettings, Settings
from likewise.settings_loader import environment_of
from likewise.store import Advance, Changes
from likewise.streams import TopicPartition
from likewise.topics import Topics, TopicSpec
from serving.service import run_server
from serving.stats import ServingStats
from tests.conftest import IN_CONTAINERS
from tests.services import PATIENCE_S, in_a_thread, wait_until
from tests.serving_rig import error_of, item, items_of, like, likes_but_one, write_block_model

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from likewise.streams import Record

OLD, NEW = "20260101T000000.000Z", "20260101T000001.000Z"
PARTITIONS = 2


class Requester:
    """An application on the same servers: asks, and collects the replies by correlation id."""

    def __init__(self, settings: Settings, broker: KafkaBroker, store: RedisStore) -> None:
        self.topics = Topics(settings.kafka.topic_prefix)
        self.settings = settings
        self.broker = broker
        self.store = store
        self.reply_topic = f"{settings.kafka.topic_prefix}app.replies"
        broker.ensure_topics(self.topics.specs(PARTITIONS))
        broker.ensure_topics([TopicSpec(self.reply_topic, PARTITIONS, {})])
        self._sink = broker.sink()
        start = dict.fromkeys(broker.partitions(self.reply_topic), 0)
        self._reader = broker.reader(start)
        self.records: dict[bytes, list[Record]] = {}

    def ask(
        self, body: dict[str, Any], *, topic: str | None = None, partition: int | None = None
    ) -> bytes:
        """Publish a request; return its correlation id: sixteen raw bytes, zeros among them."""
        correlation = b"\x00\xff" + os.urandom(12) + b"\x80\x00"
        headers = [
            (CORRELATION_HEADER, correlation),
            (REPLY_TOPIC_HEADER, (topic or self.reply_topic).encode()),
        ]
        if partition is not None:
            headers.append(partition_header(partition))
        value = json.dumps(body).encode()
        self._sink.send(self.topics.requests, value, headers=headers).result(PATIENCE_S)
        return correlation

    def collect(self) -> None:
        """Take in the replies that have come meanwhile."""
        for record in self._reader.poll(20):
            correlation = dict(record.headers)[CORRELATION_HEADER]
            self.records.setdefault(correlation, []).append(record)

    def reply(self, correlation: bytes) -> dict[str, Any]:
        """Return the first reply to a request, when it has come."""

        def has_come() -> bool:
            self.collect()
            return correlation in self.records

        wait_until(has_come, "the reply")
        reply: dict[str, Any] = json.loads(self.records[correlation][0].value or b"")
        return reply

    def close(self) -> None:
        self._sink.close()
        self._reader.close()


@pytest.fixture
def settings(bootstrap_servers: str, redis_url: str, prefix: str, tmp_path: Path) -> Settings:
    """Settings with the shortest session that the brokers of this run allow."""
    return Settings(
        kafka=KafkaSettings(
            bootstrap_servers=bootstrap_servers,
            topic_prefix=prefix,
            partitions=PARTITIONS,
            session_timeout_ms=6_000 if IN_CONTAINERS else 2_000,
            heartbeat_interval_ms=500,
            fetch_max_wait_ms=10,
        ),
        redis=RedisSettings(url=redis_url, key_prefix=prefix),
        serving=ServingSettings(poll_timeout_ms=50, model_check_interval_s=0.05),
        model=ModelSettings(directory=tmp_path / "models"),
    )


@pytest.fixture
def app(settings: Settings) -> Iterator[Requester]:
    with (
        closing(KafkaBroker(settings.kafka, client_id="app")) as broker,
        closing(RedisStore(settings.redis)) as store,
        closing(Requester(settings, broker, store)) as requester,
    ):
        yield requester


@contextmanager
def serving(settings: Settings) -> Iterator[ServingStats]:
    """Run a server in a thread; re-raise what it died of."""
    stats = ServingStats()
    with in_a_thread(settings, "server", partial(run_server, settings, stats=stats)):
        yield stats


def test_a_request_waits_for_the_first_model_and_is_then_answered_as_spring_expects(
    settings: Settings, app: Requester
) -> None:
    like(app.store, "u", likes_but_one(3, missing=1))
    correlation = app.ask({"user_id": "u", "count": 1}, partition=1)
    with serving(settings):
        write_block_model(settings.model.directory, OLD, blocks=6)
        reply = app.reply(correlation)
    [record] = app.records[correlation]
    assert items_of(reply) == [item(3, 1)]
    assert reply["model"]["version"] == OLD
    assert reply["source"] == "model"
    assert record.partition == 1
    assert record.key == b"u"
    assert list(record.headers) == [(CORRELATION_HEADER, correlation)]


def test_bad_requests_and_a_foreign_key_cost_the_others_nothing(
    settings: Settings, app: Requester, redis_url: str, prefix: str
) -> None:
    write_block_model(settings.model.directory, OLD, blocks=6)
    like(app.store, "u", likes_but_one(3))
    with closing(redis.Redis.from_url(redis_url)) as somebody_else:
        somebody_else.set(f"{prefix}likes:foreign", "a string")
    foreign = app.ask({"user_id": "foreign"})
    negative = app.ask({"user_id": "u", "count": -1})
    app.ask({"user_id": "u"}, topic=app.topics.likes)
    app.ask({"user_id": "u"}, topic=f"{prefix}nowhere.replies")
    good = app.ask({"user_id": "u", "count": 1})
    with serving(settings) as stats:
        assert items_of(app.reply(good)) == [item(3, 0)]
        assert error_of(app.reply(foreign)) == "internal"
        assert error_of(app.reply(negative)) == "invalid_count"
        wait_until(lambda: stats.dead_letters == 2, "two dead letters")
    [likes_end] = {*app.broker.end_offsets(app.broker.partitions(app.topics.likes)).values()}
    assert likes_end == 0
    assert app.broker.partitions(f"{prefix}nowhere.replies") == []


def test_an_answer_follows_the_like_it_waits_for(settings: Settings, app: Requester) -> None:
    write_block_model(settings.model.directory, OLD, blocks=6)
    with serving(settings) as stats:
        correlation = app.ask({"user_id": "u", "after": "1:0", "count": 1})
        wait_until(lambda: stats.waiting == 1, "the request waits")
        like(app.store, "u", likes_but_one(4))
        app.store.apply(Changes(), {TopicPartition(app.topics.likes, 1): Advance(None, 1)})
        assert items_of(app.reply(correlation)) == [item(4, 0)]


def test_a_new_model_is_taken_over_while_requests_come(settings: Settings, app: Requester) -> None:
    write_block_model(settings.model.directory, OLD, blocks=3)
    with serving(settings) as stats:
        before = app.reply(app.ask({"liked": likes_but_one(1), "count": 1}))
        app.store.announce_model(write_block_model(settings.model.directory, NEW, blocks=3))
        asked = []
        while stats.model_version != NEW:
            asked.append(app.ask({"liked": likes_but_one(1), "count": 1}))
        after = app.reply(app.ask({"liked": likes_but_one(1), "count": 1}))
        assert all(items_of(app.reply(correlation)) == [item(1, 0)] for correlation in asked)
    assert before["model"]["version"] == OLD
    assert after["model"]["version"] == NEW


@pytest.mark.timeout(240)
def test_a_server_killed_in_mid_stream_leaves_no_request_without_its_answer(
    settings: Settings, app: Requester, tmp_path: Path
) -> None:
    write_block_model(settings.model.directory, OLD, blocks=6)
    expected: dict[bytes, str] = {}

    def ask_some(count: int) -> None:
        for _ in range(count):
            block = len(expected) % 6
            correlation = app.ask({"liked": likes_but_one(block), "count": 1})
            expected[correlation] = item(block, 0)

    for _ in range(3):
        answered = len(app.records)
        with a_server_process(settings, tmp_path) as server:
            ask_some(20)

            def answers_some(before: int = answered) -> bool:
                app.collect()
                return len(app.records) > before

            wait_until(answers_some, "the server answers")
            ask_some(20)
            server.send_signal(signal.SIGKILL)
    with a_server_process(settings, tmp_path) as server:
        answers = {correlation: app.reply(correlation) for correlation in expected}
        server.terminate()
        assert server.wait(15.0) == 0, (tmp_path / "server.log").read_text()
    assert {key: items_of(reply) for key, reply in answers.items()} == {
        key: [item_id] for key, item_id in expected.items()
    }


@contextmanager
def a_server_process(settings: Settings, directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = {**os.environ, **environment_of(settings)}
    with (
        (directory / "server.log").open("ab") as log,
        subprocess.Popen([sys.executable, "-m", "serving"], env=environment, stderr=log) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def test_a_server_multiplies_on_as_many_threads_as_it_is_set_to(
    settings: Settings, app: Requester
) -> None:
    write_block_model(settings.model.directory, OLD, blocks=6)
    with serving(settings):
        app.reply(app.ask({"user_id": "u"}))
        used = {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}
    assert used == {1}


def test_a_server_does_not_look_for_garbage_in_what_stays(
    settings: Settings, app: Requester
) -> None:
    write_block_model(settings.model.directory, OLD, blocks=6)
    gc.unfreeze()
    try:
        with serving(settings):
            app.reply(app.ask({"user_id": "u"}))
            assert gc.get_freeze_count() > 10_000
    finally:
        gc.unfreeze()
