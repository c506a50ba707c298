"""A Redis Cluster whose primaries die, whose replicas are behind, and whose slots move, under load."""

from __future__ import annotations

import random
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec
import pytest

from likewise.store.cluster_keys import ClusterKeys
from tests.faults.deployment import settings_for
from tests.faults.scene import scene_of
from tests.redis_cluster import redis_servers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.faults.audit import Figures
    from tests.faults.conftest import Effort
    from tests.faults.scene import Scene
    from tests.redis_cluster import ClusterServers

BUCKETS = 16
BEHIND_S, PAUSED_S = 1.0, 4.0
SERVICES = ("consumers", "consumers", "serving")


@pytest.mark.timeout(1_200)
def test_a_cluster_whose_primaries_die_and_whose_slots_move_loses_nothing(
    bootstrap_servers: str, prefix: str, tmp_path: Path, effort: Effort, figures: Figures
) -> None:
    rng = random.Random(effort.seed)
    with redis_servers(tmp_path) as cluster:
        settings = settings_for(bootstrap_servers, cluster.url, prefix, tmp_path)
        redis = msgspec.structs.replace(settings.redis, cluster=True, buckets=BUCKETS)
        settings = msgspec.structs.replace(settings, redis=redis)
        keys = ClusterKeys(prefix, BUCKETS)
        services = (*SERVICES, "indexer")
        with scene_of(settings, tmp_path, effort.seed, services=services) as scene:
            with scene.flowing():
                for _ in range(effort.rounds):
                    move_slots(cluster, keys, rng, figures)
                    scene.wait_for_progress()
                    pause_a_consumer(scene, rng, figures)
                    scene.wait_for_progress()
                    for behind in (False, True):
                        replace_a_primary(cluster, rng, figures, behind=behind)
                        scene.wait_for_progress()
            scene.audit(figures)


def move_slots(
    cluster: ClusterServers, keys: ClusterKeys, rng: random.Random, figures: Figures
) -> None:
    """Move some buckets, and what is shared, to other primaries."""
    for group in [*rng.sample(range(BUCKETS), 3), keys.shared]:
        cluster.move_slot(keys.state(group))
        figures.faults["redis cluster: slot moved"] += 1


def pause_a_consumer(scene: Scene, rng: random.Random, figures: Figures) -> None:
    """Stop a consumer for so long that another one gets its partitions."""
    process = rng.choice(scene.named("consumers")).process
    process.send_signal(signal.SIGSTOP)
    threading.Event().wait(PAUSED_S)
    process.send_signal(signal.SIGCONT)
    figures.faults["consumers: paused and fenced"] += 1


def replace_a_primary(
    cluster: ClusterServers, rng: random.Random, figures: Figures, *, behind: bool
) -> None:
    """Kill a primary, so that its replica replaces it: one that lacks the last second, if `behind`."""
    primary = rng.choice(cluster.primaries())
    replica = cluster.replica_of(primary)
    with lagging(cluster, replica) if behind else threading.Lock():
        cluster.kill(primary)
    cluster.wait_until_promoted(replica)
    cluster.restart(primary)
    kind = "confirmed writes lost" if behind else "killed"
    figures.faults[f"redis cluster: primary {kind}"] += 1


@contextmanager
def lagging(cluster: ClusterServers, replica: int) -> Iterator[None]:
    """Stop a replica, so that it misses what its primary writes until this `with` block ends."""
    cluster.pause(replica, on=True)
    threading.Event().wait(BEHIND_S)
    yield
    cluster.pause(replica, on=False)
