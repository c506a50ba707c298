"""The server on a real broker and a real Redis: Spring's headers in, the right answer out."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest
import redis
from threadpoolctl import threadpool_info

from likewise.messages.reply_routes import CORRELATION_HEADER
from likewise.records import TopicPartition
from likewise.settings.loader import environment_of
from likewise.store.port import Advance, Changes
from tests.requesting import requester, serving, settings_for
from tests.serving_rig import error_of, item, items_of, like, likes_but_one, write_block_model
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from likewise.settings import Settings
    from tests.requesting import Requester

OLD, NEW = "20260101T000000.000Z", "20260101T000001.000Z"


@pytest.fixture
def settings(bootstrap_servers: str, redis_url: str, prefix: str, tmp_path: Path) -> Settings:
    return settings_for(bootstrap_servers, redis_url, prefix, tmp_path)


@pytest.fixture
def app(settings: Settings) -> Iterator[Requester]:
    with requester(settings) as asking:
        yield asking


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


def test_bad_requests_and_a_foreign_key_do_not_affect_the_others(
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


def test_a_new_model_is_used_while_requests_come(settings: Settings, app: Requester) -> None:
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

    def ask_some(count: int) -> list[bytes]:
        asked = []
        for _ in range(count):
            block = len(expected) % 6
            asked.append(app.ask({"liked": likes_but_one(block), "count": 1}))
            expected[asked[-1]] = item(block, 0)
        return asked

    for _ in range(3):
        with a_server_process(settings, tmp_path) as server:
            app.reply(ask_some(20)[0])
            ask_some(20)
            server.send_signal(signal.SIGKILL)
    with a_server_process(settings, tmp_path) as server:
        ask_some(1)  # the server is up once it has answered this one
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


def test_a_server_does_not_search_what_stays_for_garbage(
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
