"""A request that waits for an hour does not have those behind it answered again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likewise.records import TopicPartition
from likewise.store.port import Advance, Changes
from tests.conftest import IN_CONTAINERS
from tests.requesting import requester, serving, settings_for
from tests.serving_rig import write_block_model

if TYPE_CHECKING:
    from pathlib import Path


def test_requests_behind_one_that_waits_are_answered_once_over_two_restarts(
    bootstrap_servers: str, redis_url: str, prefix: str, tmp_path: Path
) -> None:
    settings = settings_for(bootstrap_servers, redis_url, prefix, tmp_path)
    write_block_model(settings.model.directory, "20260101T000000.000Z", blocks=2)
    with requester(settings) as app:
        body = {"liked": [], "count": 1}
        [waits] = app.ask_many({**body, "after": "0:1000", "deadline_ms": 3_600_000}, 1)
        asked = app.ask_many(body, 400)
        for _ in range(2):
            with serving(settings) as stats:
                asked += app.ask_many(body, 1)
                app.replies_to(asked)
                assert stats.waiting == 1
        with serving(settings):
            app.store.apply(Changes(), {TopicPartition(app.topics.likes, 0): Advance(None, 1_001)})
            assert "items" in app.reply(waits)
            [last] = app.ask_many(body, 1)
            app.reply(last)
        app.collect()
        times = {len(app.records[correlation]) for correlation in [waits, *asked]}
    assert times == {1} if IN_CONTAINERS else min(times) == 1, "Tansu loses what is noted"
