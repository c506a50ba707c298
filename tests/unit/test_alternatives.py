from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import msgspec
import pytest
from structlog.testing import capture_logs

from indexer.alternatives import Alternatives
from indexer.cycle import Cycle
from indexer.leader import LEASE
from indexer.progress import Unwatched
from indexer.publish import Publisher
from indexer.service import building, index_once, run_indexer
from indexer.worker import Indexer
from likewise.log.topics import Topics
from likewise.messages.ids import ItemId, UserId
from likewise.models.files import read_model
from likewise.models.layout import alternatives_in
from likewise.models.versions import list_versions, newest_sound_version
from likewise.ranking.recipe import ORIGINAL
from likewise.settings import IndexerSettings, ModelSettings, Settings
from likewise.store.port import Changes, UserChange
from likewise.testing import MemoryBroker, MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from indexer.cycle import Build, Built
    from indexer.interactions import Interactions
    from likewise.models.manifest import Manifest
    from likewise.ranking.model import Model
    from likewise.settings.types import Ranker

ANN, BOB = UserId("ann"), UserId("bob")


class World:
    """A store with likes, a directory for models, and the settings of both."""

    def __init__(self, directory: Path) -> None:
        self.settings = Settings(
            model=ModelSettings(directory=directory, rank=3),
            indexer=IndexerSettings(
                min_interval_s=0.001, lease_ms=600_000, alternatives=("spectral", "neighbours")
            ),
        )
        self.directory = directory
        self.store = MemoryStore()
        self.broker = MemoryBroker()
        self.topics = Topics()
        self.broker.ensure_topics(self.topics.specs(partitions=1))
        self.stop = threading.Event()
        self.now_ms = 1_800_000_000_000
        self.like(ANN, "x", "y")
        self.like(BOB, "y", "z")

    def set(self, table: str, **values: object) -> None:
        changed = msgspec.structs.replace(getattr(self.settings, table), **values)
        self.settings = msgspec.structs.replace(self.settings, **{table: changed})

    def like(self, user: UserId, *items: str) -> None:
        change = UserChange(add={ItemId(item) for item in items})
        self.store.apply(Changes(users={user: change}), {})

    def forget(self, user: UserId) -> None:
        liked = self.store.likes([user])[0]
        self.store.apply(Changes(users={user: UserChange(remove=liked)}), {})

    def once(self, *, announce: bool = True) -> Manifest:
        return index_once(self.settings, self.broker, self.store, self.stop, announce=announce)[0]

    def indexer(self, **builds: Build) -> Indexer:
        """Return an indexer whose alternatives are these."""
        named: dict[Ranker, Build] = {**builds}  # type: ignore[dict-item] # names of rankers
        return Indexer(
            self.settings.indexer,
            Publisher(self.directory, self.store, self.broker.sink(), self.topics),
            Cycle(
                self.directory,
                building(self.settings.model),
                Unwatched(),
                self.stop,
                self._clock_ms,
            ),
            alternatives=Alternatives(self.directory, named, self._clock_ms),
        )

    def _clock_ms(self) -> int:
        self.now_ms += 1
        return self.now_ms

    def versions(self, ranker: str) -> list[Manifest]:
        return list_versions(alternatives_in(self.directory) / ranker)

    def model(self, ranker: str) -> Model:
        (manifest,) = self.versions(ranker)
        return read_model(alternatives_in(self.directory) / ranker, manifest.version)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "models")


def broken(interactions: Interactions, on_step: Callable[[str], None]) -> Built:
    raise MemoryError("too large")


SPECTRAL = building(ModelSettings(ranker="spectral"))
NEIGHBOURS = building(ModelSettings(ranker="neighbours"))


def test_alternatives_have_the_snapshot_of_the_model_and_their_own_numbers(world: World) -> None:
    current = world.once()
    for ranker in ("spectral", "neighbours"):
        (manifest,) = world.versions(ranker)
        assert manifest.snapshot_at_ms == current.snapshot_at_ms
        assert manifest.likes == current.likes == 4
        assert manifest.recipe.ranker == ranker
    assert world.versions("neighbours")[0].recipe == ORIGINAL
    assert world.model("spectral").item_ids == ["x", "y", "z"]


def test_alternatives_are_no_versions_of_the_model(world: World) -> None:
    current = world.once()
    assert [one.version for one in list_versions(world.directory)] == [current.version]
    assert len(world.broker.records(world.topics.models)) == 1


def test_without_the_setting_none_is_built(world: World) -> None:
    world.set("indexer", alternatives=())
    world.once()
    assert not alternatives_in(world.directory).exists()


def test_a_model_that_is_not_announced_has_no_alternatives(world: World) -> None:
    world.once(announce=False)
    assert not alternatives_in(world.directory).exists()


def test_a_model_that_is_not_announced_becomes_current_only_by_name(world: World) -> None:
    current = world.once()
    held_back = world.once(announce=False)
    assert held_back.held_back
    assert [one.version for one in list_versions(world.directory)] == [
        held_back.version,
        current.version,
    ]
    restored = newest_sound_version(world.directory)
    assert restored is not None
    assert restored.version == current.version


def test_each_build_replaces_the_alternatives(world: World) -> None:
    indexer = world.indexer(spectral=SPECTRAL)
    indexer.run_once()
    (first,) = world.versions("spectral")
    world.like(ANN, "z")
    indexer.build_now()
    indexer.run_once()
    (second,) = world.versions("spectral")
    assert second.version > first.version
    assert (first.likes, second.likes) == (4, 5)
    assert set(indexer.stats.alternative_seconds) == {"spectral"}


def test_a_ranker_that_the_settings_no_longer_name_is_removed(world: World) -> None:
    world.once()
    world.set("indexer", alternatives=("spectral",))
    world.once()
    assert [path.name for path in alternatives_in(world.directory).iterdir()] == ["spectral"]
    world.set("indexer", alternatives=())
    world.once()
    assert list(alternatives_in(world.directory).iterdir()) == []


def test_a_forgotten_user_is_in_no_file_of_an_alternative_after_the_next_build(
    world: World,
) -> None:
    world.set("model", user_ids=True)
    world.once()
    assert world.model("spectral").user_ids == [ANN, BOB]
    world.forget(ANN)
    world.once()
    for ranker in ("spectral", "neighbours"):
        assert world.model(ranker).user_ids == [BOB]
    for path in alternatives_in(world.directory).rglob("*.json"):
        assert b'"ann"' not in path.read_bytes()


def test_a_failed_alternative_costs_the_model_and_the_others_nothing(world: World) -> None:
    indexer = world.indexer(spectral=broken, neighbours=NEIGHBOURS)
    with capture_logs() as logs:
        indexer.run_once()
    assert indexer.stats.builds == 1
    assert indexer.stats.heartbeat.ready
    assert indexer.stats.alternative_failures == {"spectral": 1}
    assert len(world.versions("neighbours")) == 1
    (logged,) = [one for one in logs if one["log_level"] == "error"]
    assert logged["ranker"] == "spectral"
    assert "too large" in logged["reason"]


def test_an_alternative_that_cannot_be_written_leaves_the_last_one(world: World) -> None:
    indexer = world.indexer(spectral=SPECTRAL)
    indexer.run_once()
    (before,) = world.versions("spectral")
    alternatives_in(world.directory).rename(world.directory / "elsewhere")
    alternatives_in(world.directory).write_text("a file where the directory should be")
    indexer.build_now()
    indexer.run_once()
    assert indexer.stats.builds == 2
    assert indexer.stats.alternative_failures == {"spectral": 1}
    assert list_versions(world.directory / "elsewhere" / "spectral") == [before]


def test_the_model_is_current_and_the_indexer_ready_before_alternatives_are_built(
    world: World,
) -> None:
    seen = []

    def build(interactions: Interactions, on_step: Callable[[str], None]) -> Built:
        announced = world.store.model_announcement()
        seen.append((announced is not None, indexer.stats.heartbeat.ready))
        return SPECTRAL(interactions, on_step)

    indexer = world.indexer(spectral=build)
    indexer.run_once()
    assert seen == [(True, True)]


@pytest.mark.parametrize("how", ["stop", "lost lead"])
def test_no_further_alternative_is_built_after_a_stop_or_a_lost_lead(
    world: World, how: str
) -> None:
    def build(interactions: Interactions, on_step: Callable[[str], None]) -> Built:
        if how == "stop":
            world.stop.set()
        else:
            world.store.release_lease(LEASE, indexer._leadership._holder)
            world.store.acquire_lease(LEASE, "other", 600_000)
            assert indexer._leadership.lead() is None
        return SPECTRAL(interactions, on_step)

    indexer = world.indexer(spectral=build, neighbours=NEIGHBOURS)
    indexer.run_once()
    assert len(world.versions("spectral")) == 1
    assert world.versions("neighbours") == []


def test_a_service_builds_what_its_settings_name(world: World) -> None:
    def stop_when_built(indexer: Indexer) -> None:
        def wait() -> None:
            while not world.versions("neighbours"):
                if world.stop.wait(0.05):
                    return
            world.stop.set()

        threading.Thread(target=wait, daemon=True).start()

    run_indexer(world.settings, world.broker, world.store, world.stop, on_start=stop_when_built)
    assert len(world.versions("spectral")) == len(world.versions("neighbours")) == 1
