"""What may be shown, with plain Kafka clients, a consumer and servers on real servers."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from consumers.service import run_consumer
from likewise.log.kafka import KafkaBroker
from likewise.log.topics import Topics
from likewise.settings_loader import environment_of
from tests.plain_kafka import PlainApp, plain_app
from tests.requesting import PARTITIONS, settings_for
from tests.services import in_a_thread
from tests.serving_rig import items_of, write_block_model

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from likewise.settings import Settings

VERSION = "20260101T000000.000Z"
BLOCKS = 50


@pytest.fixture
def settings(bootstrap_servers: str, redis_url: str, prefix: str, tmp_path: Path) -> Settings:
    return settings_for(bootstrap_servers, redis_url, prefix, tmp_path)


@pytest.fixture
def app(settings: Settings) -> Iterator[PlainApp]:
    """An application, with a consumer at work and a model of 250 items."""
    write_block_model(settings.model.directory, VERSION, blocks=BLOCKS)
    prefix = settings.kafka.topic_prefix
    with closing(KafkaBroker(settings.kafka, client_id="test")) as broker:
        broker.ensure_topics(Topics(prefix).specs(PARTITIONS))
    with (
        in_a_thread(settings, "consumer", partial(run_consumer, settings)),
        plain_app(settings.kafka.bootstrap_servers, prefix) as asking,
    ):
        yield asking


@contextmanager
def a_server(settings: Settings, directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = {**os.environ, **environment_of(settings)}
    with (
        (directory / "server.log").open("ab") as log,
        subprocess.Popen([sys.executable, "-m", "serving"], env=environment, stderr=log) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.timeout(240)
def test_twenty_pages_hold_no_item_twice_with_likes_in_between_and_a_server_killed(
    settings: Settings, app: PlainApp, tmp_path: Path
) -> None:
    position = app.event("like", "ann", "c7.0")
    pages: list[dict[str, Any]] = []
    liked = {"c7.0"}
    shown: list[str] = []
    previous: dict[str, str] = {}

    def next_page() -> bytes:
        return app.send(user_id="ann", count=10, after=position, **previous)

    with a_server(settings, tmp_path) as server:
        while len(pages) < 20:
            asked = next_page()
            if len(pages) == 8:
                server.kill()
                break
            pages.append(app.reply(asked))
            previous = {"next_of": pages[-1]["recommendation_id"]}
            shown += items_of(pages[-1])
            liked.add(shown[-3])
            position = app.event("like", "ann", shown[-3])
    with a_server(settings, tmp_path):
        pages.append(app.reply(asked))
        while len(pages) < 20:
            shown += items_of(pages[-1])
            liked.add(shown[-1])
            position = app.event("like", "ann", shown[-1])
            previous = {"next_of": pages[-1]["recommendation_id"]}
            pages.append(app.reply(next_page()))
        shown += items_of(pages[-1])
        stranger = app.ask(user_id="bob", **previous)
    assert [len(items_of(page)) for page in pages] == [10] * 20
    assert len({*shown}) == 200
    assert "c7.0" not in shown
    assert stranger["error"]["code"] == "unknown_recommendation"
