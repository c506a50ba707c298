"""Partitions are added while a server runs: it uses them at once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from likewise.messages.positions import Position
from likewise.records import TopicPartition
from likewise.store.port import Advance, Changes
from tests.faults.kafka_server import kafka_server
from tests.requesting import PARTITIONS, requester, serving, settings_for
from tests.serving_rig import error_of, write_block_model
from tests.waiting import PATIENCE_S

if TYPE_CHECKING:
    from pathlib import Path

VERSION = "20260101T000000.000Z"
# Caches expire after half a minute and after a minute.
AT_ONCE_S = 15.0


@pytest.mark.timeout(180)
def test_added_partitions_are_used_before_any_cache_expires(
    redis_url: str, prefix: str, tmp_path: Path
) -> None:
    with kafka_server() as kafka:
        settings = settings_for(
            kafka.bootstrap_servers, redis_url, prefix, tmp_path, session_timeout_ms=6_000
        )
        write_block_model(settings.model.directory, VERSION, blocks=3)
        with requester(settings) as app, serving(settings):
            for partition in range(PARTITIONS):
                assert "items" in app.reply(app.ask({"user_id": "u"}, partition=partition))
            kafka.add_partitions(app.reply_topic, PARTITIONS + 2)
            kafka.add_partitions(app.topics.likes, PARTITIONS + 1)
            app.listen_again()
            started_s = time.monotonic()

            added = app.ask({"user_id": "u"}, partition=PARTITIONS + 1)
            assert "items" in app.reply(added)
            assert [record.partition for record in app.records[added]] == [PARTITIONS + 1]

            after = app.ask({"user_id": "u", "after": str(Position(PARTITIONS, 0))})
            nowhere = app.ask({"user_id": "u", "after": str(Position(PARTITIONS + 1, 0))})
            assert error_of(app.reply(nowhere)) == "invalid_position"
            likes = TopicPartition(app.topics.likes, PARTITIONS)
            app.store.apply(Changes(), {likes: Advance(None, 1)})
            assert "items" in app.reply(after)
            assert time.monotonic() - started_s < AT_ONCE_S < PATIENCE_S
