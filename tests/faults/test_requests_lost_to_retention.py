"""Requests that retention removes while no server runs are counted, and the rest is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from likewise.records import TopicPartition
from tests.faults.kafka_server import kafka_server
from tests.requesting import requester, serving, settings_for
from tests.serving_rig import write_block_model

if TYPE_CHECKING:
    from pathlib import Path

VERSION = "20260101T000000.000Z"
ANSWERED, LOST, LEFT = 3, 4, 2


@pytest.mark.timeout(180)
def test_requests_that_expire_unanswered_are_counted_once(
    redis_url: str, prefix: str, tmp_path: Path
) -> None:
    body = {"liked": [], "count": 1}
    with kafka_server() as kafka:
        settings = settings_for(
            kafka.bootstrap_servers, redis_url, prefix, tmp_path, session_timeout_ms=6_000
        )
        write_block_model(settings.model.directory, VERSION, blocks=2)
        with requester(settings) as app:
            with serving(settings) as stats:
                app.replies_to(app.ask_many(body, ANSWERED))
            assert stats.lost == 0
            requests = TopicPartition(app.topics.requests, 0)
            committed = app.broker.committed(settings.serving.group, [requests])
            assert committed == {requests: ANSWERED}

            lost = app.ask_many(body, LOST)
            left = app.ask_many(body, LEFT)
            kafka.remove_records_before(requests.topic, {requests.partition: ANSWERED + LOST})
            with serving(settings) as stats:
                app.replies_to(left)
            assert stats.lost == LOST
            assert app.records.keys().isdisjoint(lost)

            with serving(settings) as stats:
                app.replies_to(app.ask_many(body, 1))
            assert stats.lost == 0
