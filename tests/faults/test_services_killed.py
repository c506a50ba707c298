"""Services killed with SIGKILL, again and again, at random instants and at crash points."""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING

import pytest

from likewise.messages.announcements import decode_announcement
from tests.faults.audit import check_models
from tests.faults.crash_points import CRASH_POINTS
from tests.faults.deployment import settings_for
from tests.faults.scene import scene_of
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from likewise.store.port import LikeStore
    from tests.faults.audit import Figures
    from tests.faults.conftest import Effort
    from tests.faults.deployment import Service
    from tests.faults.oracle import Oracle

CRASH_TIMEOUT_S = 120.0


@pytest.mark.timeout(1_200)
def test_services_killed_at_any_instant_lose_and_double_nothing(
    bootstrap_servers: str,
    redis_url: str,
    prefix: str,
    tmp_path: Path,
    effort: Effort,
    figures: Figures,
) -> None:
    settings = settings_for(bootstrap_servers, redis_url, prefix, tmp_path)
    rng = random.Random(effort.seed)
    with scene_of(settings, tmp_path, effort.seed, experiments=True) as scene:
        with scene.flowing():
            for service, number in schedule(rng, scene.services, effort.kills):
                kill(rng, service, number, figures)
        oracle = scene.audit(figures)
        wait_until(lambda: model_holds(scene.store, oracle), "a model of the final likes")
    assert check_models(settings) > 0
    assert sum(figures.faults.values()) >= effort.kills
    assert figures.answered > figures.requests / 2


def schedule(
    rng: random.Random, services: list[Service], kills: int
) -> list[tuple[Service, int | None]]:
    """Return which services to kill, and at which crash point (None: at a random instant).

    No crash point comes twice before each has come once.
    """
    points = list(range(len(CRASH_POINTS)))
    rng.shuffle(points)
    chosen: list[tuple[Service, int | None]] = []
    while len(chosen) < kills:
        # To arm a crash point, the service is killed at a random instant first, and that counts too.
        if len(chosen) % 3 == 0:
            chosen.append((rng.choice(services), None))
            continue
        number = points[(len(chosen) - len(chosen) // 3 - 1) % len(points)]
        candidates = [one for one in services if one.name == CRASH_POINTS[number].service]
        chosen.append((rng.choice(candidates), number))
    return chosen


def kill(rng: random.Random, service: Service, number: int | None, figures: Figures) -> None:
    """Kill a service at a random instant, with a number at that crash point too, and start it again."""
    threading.Event().wait(rng.uniform(0.0, 1.0))
    service.kill()
    figures.faults[f"{service.name}: SIGKILL at a random instant"] += 1
    if number is not None:
        point = CRASH_POINTS[number]
        service.start_to_crash_at(point, nth=rng.randint(1, 3))
        wait_until(
            service.died_by_sigkill,
            lambda: f"a crash {point.name}; {service.last_lines()}",
            CRASH_TIMEOUT_S,
        )
        figures.faults[f"{service.name}: SIGKILL {point.name}"] += 1
    service.start()


def model_holds(store: LikeStore, oracle: Oracle) -> bool:
    """Whether the announced model was built from as many users and items as the log defines.

    A model holds the likes, and the signals of kinds with a positive weight.
    """
    announced = store.model_announcement()
    assert announced is not None
    pairs = {
        (key.removeprefix("buy:"), item)
        for key, items in oracle.state().items()
        if ":" not in key or key.startswith("buy:")
        for item in items
    }
    current = decode_announcement(announced)
    return (current.users, current.likes) == (len({user for user, _ in pairs}), len(pairs))
