"""`likewise recommend --as-of` on real servers: what a user was shown before she changed her mind."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

import msgspec
from typer.testing import CliRunner

from likewise.cli.app import app
from likewise.cli.exit_codes import INCOMPLETE
from likewise.log.ranges import read_between
from likewise.log.topics import Topics
from likewise.messages.announcements import TOPIC_KEY
from likewise.messages.events import Like, Unlike
from likewise.messages.ids import UserId
from likewise.models.versions import new_version
from likewise.settings import ModelSettings
from likewise.settings.loader import environment_of
from tests.consuming import caught_up, consuming, opened, send, settings_for
from tests.serving_rig import item, likes_but_one, write_block_model
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest

    from likewise.log.port import Broker
    from likewise.records import Record

ANN = UserId("ann")


def test_the_likes_and_the_model_of_then_answer(
    bootstrap_servers: str,
    redis_url: str,
    prefix: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = settings_for(bootstrap_servers, redis_url, prefix)
    settings = msgspec.structs.replace(settings, model=ModelSettings(directory=tmp_path / "models"))
    topics = Topics(prefix)

    def run(*arguments: str, code: int = 0) -> Any:
        asked = ("recommend", "ann", "--count", "1", *arguments, "--json")
        ended = CliRunner().invoke(app, asked, env=environment_of(settings))
        assert ended.exit_code == code, (ended.output, ended.exception)
        return json.loads(ended.stdout)

    with ExitStack() as stack:
        broker, store = stack.enter_context(opened(settings))
        sink = stack.enter_context(closing(broker.sink()))
        version = new_version(time.time_ns() // 1_000_000)
        announcement = write_block_model(settings.model.directory, version, blocks=6)
        sink.send(topics.models, announcement, key=TOPIC_KEY).result(10)
        stack.enter_context(consuming(settings))
        send(sink, topics.likes, [Like(ANN, one) for one in likes_but_one(2)])
        position = max(
            (record.partition, record.offset)
            for records in _read(broker, topics.likes)
            for record in records
        )
        send(sink, topics.likes, [Unlike(ANN, one) for one in likes_but_one(2)])
        send(sink, topics.likes, [Like(ANN, one) for one in likes_but_one(4)])
        wait_until(lambda: caught_up(broker, store, topics.likes), "the likes are applied")

    then = run("--as-of", f"{position[0]}:{position[1]}", "--explain")
    assert [one["item_id"] for one in then["answer"]["items"]] == [item(2, 0)]
    assert then["likes"] == likes_but_one(2)
    assert then["complete"]
    assert then["model"] == {
        "version": version,
        "certain": True,
        "reason": f"the models topic names {version}",
    }
    now = run("--as-of", "now")
    assert [one["item_id"] for one in now["answer"]["items"]] == [item(4, 0)]

    write_block_model(settings.model.directory, new_version(0), blocks=6)
    with opened(settings) as (broker, _), closing(broker.sink()) as sink:
        gone = announcement.replace(version.encode(), new_version(1).encode())
        sink.send(topics.models, gone, key=TOPIC_KEY).result(10)
    pruned = run("--as-of", "now", code=INCOMPLETE)
    assert not pruned["complete"]
    assert "was removed" in pruned["missing"][0]


def _read(broker: Broker, topic: str) -> Iterator[list[Record]]:
    partitions = broker.partitions(topic)
    return read_between(
        broker, broker.beginning_offsets(partitions), broker.end_offsets(partitions)
    )
