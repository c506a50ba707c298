"""Apache Kafka is down for half a minute, and comes back with its data."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from tests.faults.deployment import settings_for
from tests.faults.kafka_server import kafka_server
from tests.faults.scene import scene_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.audit import Figures
    from tests.faults.conftest import Effort


@pytest.mark.timeout(600)
def test_a_broker_that_is_down_for_half_a_minute_costs_no_event_and_no_request(
    redis_url: str, prefix: str, tmp_path: Path, effort: Effort, figures: Figures
) -> None:
    with kafka_server() as kafka:
        settings = settings_for(
            kafka.bootstrap_servers, redis_url, prefix, tmp_path, session_timeout_ms=6_000
        )
        with scene_of(settings, tmp_path, effort.seed) as scene:
            with scene.flowing():
                kafka.stop()
                threading.Event().wait(effort.outage_s)
                kafka.start()
                figures.faults["broker stopped and started again"] += 1
                scene.wait_for_progress()
                kafka.kill()
                kafka.start()
                figures.faults["broker killed and started again"] += 1
                scene.wait_for_progress()
            scene.audit(figures)
