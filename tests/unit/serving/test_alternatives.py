from __future__ import annotations

import gc
import threading
import weakref
from typing import TYPE_CHECKING

import pytest

from likewise.models.holder import load_model
from likewise.models.layout import alternatives_in
from likewise.models.versions import remove_old_versions
from serving.alternatives import LOOK_EVERY_S, Alternatives
from tests.serving_rig import item, write_block_model
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from likewise.models.holder import ServedModel

OLD = "20260101T000000.000Z"
NEW = "20260101T000001.000Z"


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


class World:
    """Alternatives on disk, and what reads them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.clock = Clock()
        self.alternatives = Alternatives(directory, clock_s=self.clock)

    def write(self, ranker: str, version: str) -> None:
        directory = alternatives_in(self.directory) / ranker
        write_block_model(directory, version, blocks=2, catalogue=version)
        remove_old_versions(directory, keep=1, in_use={version})

    def get(self, ranker: str) -> ServedModel:
        self.clock.now_s += LOOK_EVERY_S
        found = self.alternatives.get(ranker)
        assert found is not None
        return found


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_ranker_answers_once_it_is_built(world: World) -> None:
    assert world.alternatives.names() == []
    assert world.alternatives.get("spectral") is None
    world.write("spectral", OLD)
    assert world.alternatives.names() == ["spectral"]
    assert world.get("spectral").version == OLD
    assert item(0, 0, OLD) in world.get("spectral").model.item_rows


def test_a_newer_version_is_used_and_the_last_one_leaves_memory(world: World) -> None:
    world.write("spectral", OLD)
    left = weakref.ref(world.get("spectral").model.item_factors)
    world.write("spectral", NEW)
    assert world.get("spectral").version == NEW
    gc.collect()
    assert left() is None


def test_the_disk_is_looked_at_once_a_second(world: World) -> None:
    world.write("spectral", OLD)
    assert world.get("spectral").version == OLD
    world.write("spectral", NEW)
    last = world.alternatives.get("spectral")
    assert last is not None
    assert last.version == OLD


def test_a_ranker_that_the_settings_no_longer_name_is_released(world: World) -> None:
    world.write("spectral", OLD)
    world.get("spectral")
    remove_old_versions(alternatives_in(world.directory) / "spectral", keep=0, in_use=())
    world.clock.now_s += LOOK_EVERY_S
    assert world.alternatives.get("spectral") is None


@pytest.mark.parametrize("name", ["", "..", "../spectral", "spectral/..", "als", "SPECTRAL"])
def test_a_name_that_is_not_a_ranker_is_never_a_path(world: World, name: str) -> None:
    write_block_model(world.directory, OLD, blocks=2)
    world.write("spectral", OLD)
    assert world.alternatives.get(name) is None


def test_a_broken_version_leaves_the_last_one_in_use_until_the_next(world: World) -> None:
    world.write("spectral", OLD)
    world.get("spectral")
    newer = "20260101T000002.000Z"
    world.write("spectral", NEW)
    (alternatives_in(world.directory) / "spectral" / NEW / "item_ids.json").write_bytes(b"[]")
    assert world.get("spectral").version == OLD
    world.write("spectral", newer)
    assert world.get("spectral").version == newer


def test_a_version_being_written_is_not_seen(world: World) -> None:
    aside = alternatives_in(world.directory) / "spectral" / f".aside-{NEW}-1"
    aside.mkdir(parents=True)
    (aside / "manifest.json").write_text("{}")
    assert world.alternatives.names() == []
    assert world.alternatives.get("spectral") is None


def test_others_use_the_last_version_while_one_thread_loads(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.write("spectral", OLD)
    world.get("spectral")
    world.write("spectral", NEW)
    loading, finish = threading.Event(), threading.Event()

    def slow(directory: Path, version: str) -> ServedModel:
        loading.set()
        assert finish.wait(20)
        return load_model(directory, version)

    monkeypatch.setattr("serving.alternatives.load_model", slow)
    thread = threading.Thread(target=lambda: world.get("spectral"))
    thread.start()
    assert loading.wait(20)
    assert world.get("spectral").version == OLD
    finish.set()
    thread.join()
    wait_until(lambda: world.get("spectral").version == NEW)
