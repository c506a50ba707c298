"""Models that can't be written, that are deleted or damaged, or that two indexers want to build."""

from __future__ import annotations

import hashlib
import json
import random
import resource
import shutil
import threading
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pytest

from likewise.models.files import read_manifest
from likewise.models.versions import list_versions
from tests.faults.audit import check_models
from tests.faults.deployment import settings_for
from tests.faults.scene import scene_of
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from likewise.store.port import LikeStore
    from tests.faults.audit import Figures
    from tests.faults.conftest import Effort
    from tests.faults.deployment import Service

ONE_INDEXER = ("consumers", "indexer", "serving")
TWO_INDEXERS = ("consumers", "indexer", "indexer", "serving")
BUILD_TIMEOUT_S = 90.0
# Less than the smallest table of a model takes.
FULL_BYTES = 64


@pytest.mark.timeout(400)
def test_a_disk_that_is_full_while_a_model_is_written_stops_no_answers(
    bootstrap_servers: str,
    redis_url: str,
    prefix: str,
    tmp_path: Path,
    effort: Effort,
    figures: Figures,
) -> None:
    settings = settings_for(bootstrap_servers, redis_url, prefix, tmp_path)
    with scene_of(settings, tmp_path, effort.seed, services=ONE_INDEXER) as scene:
        [indexer] = scene.named("indexer")
        with scene.flowing():
            for _ in range(effort.rounds):
                before = scene.version()
                limit_files(indexer, FULL_BYTES)
                await_line(indexer, "can't be written")
                scene.wait_for_progress()
                assert check_models(settings) > 0
                limit_files(indexer, resource.RLIM_INFINITY)
                scene.wait_for_another_model(before, scene.version())
                figures.faults["disk full while a model is written"] += 1
        scene.audit(figures)
    assert not list(settings.model.directory.glob(".aside-*")), "unfinished files are left behind"


@pytest.mark.timeout(400)
def test_models_deleted_and_damaged_under_a_running_server_stop_no_answers(
    bootstrap_servers: str,
    redis_url: str,
    prefix: str,
    tmp_path: Path,
    effort: Effort,
    figures: Figures,
) -> None:
    settings = settings_for(bootstrap_servers, redis_url, prefix, tmp_path)
    with scene_of(settings, tmp_path, effort.seed, services=ONE_INDEXER) as scene:
        [indexer], [server] = scene.named("indexer"), scene.named("serving")
        with scene.flowing():
            scene.wait_for_another_model(scene.version())  # one that stays when the newest goes
            indexer.stop()
            shutil.rmtree(settings.model.directory / scene.version())
            scene.wait_for_progress()
            figures.faults["model deleted under a running server"] += 1

            directory, rng = settings.model.directory, random.Random(effort.seed)
            announce_damaged_model(scene.store, directory, "Z-0bad", partial(flip_a_bit, rng))
            await_line(server, "checksum")
            scene.wait_for_progress()
            figures.faults["model announced whose checksum is wrong"] += 1

            announce_damaged_model(scene.store, directory, "Z-1bad", damage_a_table)
            await_line(server, "cooccurrence.indices has numbers")
            scene.wait_for_progress()
            figures.faults["model announced whose table would crash the server"] += 1

            server.kill()
            server.start()  # the announced model is damaged: the newest sound one serves
            scene.wait_for_progress()
            damaged = scene.version()
            indexer.start()
            scene.wait_for_another_model(damaged)
        scene.audit(figures)


@pytest.mark.timeout(600)
def test_of_two_indexers_one_leads_and_a_lost_leader_is_replaced(
    bootstrap_servers: str,
    redis_url: str,
    prefix: str,
    tmp_path: Path,
    effort: Effort,
    figures: Figures,
) -> None:
    settings = settings_for(bootstrap_servers, redis_url, prefix, tmp_path)
    rng = random.Random(effort.seed)
    with scene_of(settings, tmp_path, effort.seed, services=TWO_INDEXERS) as scene:
        indexers = scene.named("indexer")
        with scene.flowing():
            for _ in range(2 * effort.rounds):
                leader = await_leader(indexers)
                threading.Event().wait(rng.uniform(0.0, 2.0))
                leader.kill()
                figures.faults["leading indexer killed"] += 1
                scene.wait_for_another_model(scene.version())
                assert check_models(settings) > 0
                leader.start()
        scene.audit(figures)


def await_line(service: Service, words: str) -> None:
    """Return once the service logs a line with these words, from now on."""
    start = len(service.log.read_bytes())
    wait_until(
        lambda: words.encode() in service.log.read_bytes()[start:],
        f"{service.name} logs {words!r}",
        BUILD_TIMEOUT_S,
    )


def await_leader(indexers: list[Service]) -> Service:
    """Return the indexer that built the newest model."""
    starts = [len(one.log.read_bytes()) for one in indexers]
    leading: list[Service] = []

    def found() -> bool:
        leading[:] = [
            one
            for one, start in zip(indexers, starts, strict=True)
            if b"model announced" in one.log.read_bytes()[start:]
        ]
        return bool(leading)

    wait_until(found, "an indexer leads", BUILD_TIMEOUT_S)
    assert len(leading) == 1, "two indexers announce at once"
    return leading[0]


def limit_files(service: Service, size_bytes: int) -> None:
    """Let no file of the service grow beyond this size: its writes fail as on a full disk.

    Its log goes through a pipe, so that it can still report the failure.
    """
    _, hard = resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, (size_bytes, hard))


def announce_damaged_model(
    store: LikeStore, directory: Path, suffix: str, damage: Callable[[Path], None]
) -> None:
    """Announce a copy of the newest sound version, with the suffix in place of the `Z`, and damaged."""
    newest = next(one for one in list_versions(directory) if one.version.endswith("Z"))
    version = newest.version.partition("Z")[0] + suffix
    damaged = directory / version
    shutil.copytree(directory / newest.version, damaged)
    rewrite_manifest(damaged, version=version)
    damage(damaged)
    assert read_manifest(directory, version).version == version
    announcement = json.loads(store.model_announcement() or b"")
    store.announce_model(json.dumps({**announcement, "version": version}).encode())


def flip_a_bit(rng: random.Random, model: Path) -> None:
    """Change one bit of one file, which its checksum shows."""
    victim = model / rng.choice(sorted(read_manifest(model.parent, model.name).files))
    content = bytearray(victim.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    victim.write_bytes(content)


def damage_a_table(model: Path) -> None:
    """Put an index out of range into a table, with a checksum that fits."""
    path = model / "cooccurrence.indices.npy"
    table = np.load(path)
    table[-1] = 1_000_000_000
    np.save(path, table)
    content = path.read_bytes()
    entry = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    files = json.loads((model / "manifest.json").read_text())["files"]
    rewrite_manifest(model, files={**files, path.name: entry})


def rewrite_manifest(model: Path, **changes: object) -> None:
    path = model / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
