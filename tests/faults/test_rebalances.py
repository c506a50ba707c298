"""Rebalance storms: members that join and leave all the time, politely or killed."""

from __future__ import annotations

import random
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.faults.deployment import settings_for
from tests.faults.scene import scene_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.audit import Figures
    from tests.faults.conftest import Effort

PAUSE_S = 1.0
# Those that come and go, beside one of each kind that stays.
RESTLESS = ("consumers", "consumers", "serving")


@pytest.mark.timeout(600)
def test_members_that_come_and_go_every_second_keep_each_users_order(
    bootstrap_servers: str,
    redis_url: str,
    prefix: str,
    tmp_path: Path,
    effort: Effort,
    figures: Figures,
) -> None:
    settings = settings_for(bootstrap_servers, redis_url, prefix, tmp_path)
    rng = random.Random(effort.seed)
    services = ("indexer", "consumers", "serving", *RESTLESS)
    with scene_of(settings, tmp_path, effort.seed, services=services) as scene:
        restless = scene.services[-len(RESTLESS) :]
        with scene.flowing():
            ends_at_s = time.monotonic() + effort.storm_s
            while time.monotonic() < ends_at_s:
                service = rng.choice(restless)
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
