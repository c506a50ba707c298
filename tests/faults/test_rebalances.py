"""Rebalance storms: members that join and leave all the time, stopped or killed."""

from __future__ import annotations

import random
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from likewise.log.topics import Topics
from likewise.settings import KafkaSettings
from tests.consuming import opened
from tests.faults.deployment import settings_for
from tests.faults.kafka_server import kafka_server
from tests.faults.scene import scene_of
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from likewise.log.port import Source
    from tests.faults.audit import Figures
    from tests.faults.conftest import Effort

PAUSE_S = 1.0
PATIENCE_S = 8.0
# These are restarted all the time; one of each kind stays.
RESTARTED = ("consumers", "consumers", "serving")


@pytest.mark.timeout(600)
def test_a_rebalance_every_second_keeps_each_users_order(
    bootstrap_servers: str,
    redis_url: str,
    prefix: str,
    tmp_path: Path,
    effort: Effort,
    figures: Figures,
) -> None:
    settings = settings_for(bootstrap_servers, redis_url, prefix, tmp_path)
    rng = random.Random(effort.seed)
    services = ("indexer", "consumers", "serving", *RESTARTED)
    with scene_of(settings, tmp_path, effort.seed, services=services, experiments=True) as scene:
        restarted = scene.services[-len(RESTARTED) :]
        with scene.flowing():
            ends_at_s = time.monotonic() + effort.storm_s
            while time.monotonic() < ends_at_s:
                service = rng.choice(restarted)
                if rng.random() < 0.5:
                    service.kill()
                    figures.faults[f"{service.name}: killed in a storm"] += 1
                else:
                    service.stop()
                    figures.faults[f"{service.name}: left in a storm"] += 1
                threading.Event().wait(PAUSE_S)
                service.start()
            scene.wait_for_progress()
        scene.audit(figures)


@pytest.mark.timeout(300)
def test_a_member_that_sends_heartbeats_and_does_not_poll_leaves_the_group(
    redis_url: str,
    prefix: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    figures: Figures,
) -> None:
    monkeypatch.setattr(KafkaSettings, "group_patience_s", PATIENCE_S)
    topic = Topics(prefix).likes
    with kafka_server() as kafka:
        settings = settings_for(
            kafka.bootstrap_servers, redis_url, prefix, tmp_path, session_timeout_ms=6_000
        )
        with opened(settings) as (broker, _store):
            partitions = set(broker.partitions(topic))

            def has_all(member: Source) -> bool:
                member.poll(100)
                return member.assignment() == partitions

            with (
                closing(broker.source("group", [topic], max_records=1)) as hanging,
                closing(broker.source("group", [topic], max_records=1)) as working,
            ):
                wait_until(lambda: has_all(hanging), "the first member has all partitions")
                figures.faults["member that sends heartbeats and does not poll"] += 1
                wait_until(
                    lambda: has_all(working),
                    "the second member has them, though the first is alive",
                )
