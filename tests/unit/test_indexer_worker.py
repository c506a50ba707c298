from __future__ import annotations

import threading
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING

import pytest

from indexer.cycle import Cycle
from indexer.leader import LEASE
from indexer.progress import Unwatched
from indexer.publish import Publisher
from indexer.service import building, index_once
from indexer.worker import Indexer
from likewise.errors import ModelFileError, TransientError, UndeliverableError
from likewise.log.topics import Topics
from likewise.messages.announcements import TOPIC_KEY, Announcement, decode_announcement
from likewise.messages.ids import ItemId, UserId
from likewise.models.files import read_model
from likewise.models.versions import list_versions
from likewise.operations.models import use_version
from likewise.retry import StoppedError
from likewise.settings import IndexerSettings, ModelSettings, Settings
from likewise.store.port import Changes, UserChange
from likewise.testing import MemoryBroker, MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from indexer.cycle import Build, Built
    from indexer.interactions import Interactions

TOPICS = Topics()
INDEXER = IndexerSettings(
    interval_s=60,
    min_interval_s=5,
    changed_share=0.5,
    keep_versions=2,
    lease_ms=600_000,  # nobody renews it between two turns of a test
)
ANN, BOB, CLEO, DAN = (UserId(name) for name in ("ann", "bob", "cleo", "dan"))


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


class Store(MemoryStore):
    """A store that can refuse announcements, and lets things happen while likes are read."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock_s=clock)
        self.refused_announcements = 0
        self.while_read: Callable[[], None] = lambda: None
        self.read: list[UserId] = []

    def announce_model(self, announcement: bytes) -> None:
        if self.refused_announcements:
            self.refused_announcements -= 1
            raise TransientError("out of reach")
        super().announce_model(announcement)

    def lose_everything(self) -> None:
        self._likes.clear()
        self._changed.clear()
        self._leases.clear()
        self._announcement = None

    def likes(self, users: Sequence[UserId]) -> list[set[ItemId]]:
        self.while_read()
        self.read.extend(users)
        return super().likes(users)


class World:
    """An indexer with what is around it, whose time stands still between two turns."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        self.clock = clock
        self.store = Store(clock)
        self.broker = MemoryBroker()
        self.broker.ensure_topics(TOPICS.specs(partitions=1))
        self.sink = self.broker.sink()
        self.directory = directory
        self.publisher = Publisher(directory, self.store, self.sink, TOPICS)
        self.stop = threading.Event()
        self.time_of_day_ms = count(1_800_000_000_000)
        self.built: list[Interactions] = []
        self.while_built: Callable[[], None] = lambda: None
        self.indexer = self.another_indexer()

    def another_indexer(self, build: Build | None = None) -> Indexer:
        return Indexer(
            INDEXER,
            self.publisher,
            self.cycle(build or self._build),
            clock_s=self.clock,
        )

    def cycle(self, build: Build) -> Cycle:
        return Cycle(
            self.directory, build, Unwatched(), self.stop, lambda: next(self.time_of_day_ms)
        )

    def _build(self, interactions: Interactions, on_step: Callable[[str], None]) -> Built:
        self.built.append(interactions)
        self.while_built()
        return building(ModelSettings())(interactions, on_step)

    def like(self, user: UserId, *items: str) -> None:
        change = UserChange(add={ItemId(item) for item in items})
        self.store.apply(Changes(users={user: change}), {})

    def in_redis(self) -> Announcement | None:
        return self.publisher.announced()

    def on_topic(self) -> list[tuple[bytes | None, Announcement]]:
        return [
            (record.key, decode_announcement(record.value or b""))
            for record in self.broker.records(TOPICS.models)
        ]

    def versions(self) -> list[str]:
        return [manifest.version for manifest in list_versions(self.directory)]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "models", Clock())


def current(world: World) -> Announcement:
    announcement = world.in_redis()
    assert announcement is not None
    return announcement


def test_an_empty_store_gives_an_empty_model_at_once(world: World) -> None:
    world.indexer.run_once()
    assert (current(world).users, current(world).items, current(world).likes) == (0, 0, 0)
    assert read_model(world.directory, current(world).version).item_ids == []


def test_a_model_is_announced_in_redis_and_on_the_topic_when_its_files_are_there(
    world: World,
) -> None:
    world.like(ANN, "x", "y")
    world.like(BOB, "y", "z")
    world.indexer.run_once()
    announced = current(world)
    assert (announced.users, announced.items, announced.likes) == (2, 3, 4)
    assert world.on_topic() == [(TOPIC_KEY, announced)]
    model = read_model(world.directory, announced.version)
    assert model.item_ids == ["x", "y", "z"]
    assert model.item_counts.tolist() == [1, 2, 1]
    assert world.indexer.stats.current == announced
    assert world.indexer.stats.builds == 1
    assert set(world.indexer.stats.seconds) == {"snapshot", "build", "write", "announce"}


def test_nothing_is_built_while_nothing_changes(world: World) -> None:
    world.indexer.run_once()
    world.clock.now_s += 500
    world.indexer.run_once()
    assert len(world.built) == 1


def test_a_change_is_built_when_the_interval_is_over(world: World) -> None:
    for user in (ANN, BOB, CLEO):
        world.like(user, "x")
    world.indexer.run_once()
    world.like(ANN, "y")
    world.clock.now_s += 59
    world.indexer.run_once()
    assert len(world.built) == 1
    world.clock.now_s += 1
    world.indexer.run_once()
    assert len(world.built) == 2
    assert current(world).likes == 4


def test_many_changes_are_built_before_the_interval_is_over(world: World) -> None:
    for user in (ANN, BOB, CLEO, DAN):
        world.like(user, "x")
    world.indexer.run_once()
    world.clock.now_s += 5
    world.like(ANN, "y")
    world.indexer.run_once()
    assert len(world.built) == 1, "a quarter has changed, half is asked for"
    world.like(BOB, "y")
    world.indexer.run_once()
    assert len(world.built) == 2


def test_what_is_asked_for_is_built_once_and_at_once(world: World) -> None:
    world.indexer.run_once()
    world.indexer.build_now()
    world.indexer.run_once()
    world.indexer.run_once()
    assert len(world.built) == 2


def test_only_the_leader_builds_and_another_takes_over_when_its_lease_lapses(
    world: World,
) -> None:
    other = world.another_indexer()
    world.like(ANN, "x")
    world.indexer.run_once()
    world.like(BOB, "y")
    world.clock.now_s += INDEXER.lease_ms / 1000 - 1
    other.run_once()
    assert len(world.built) == 1
    assert world.indexer.stats.leads
    assert not other.stats.leads
    world.clock.now_s += 1
    other.run_once()
    assert other.stats.leads
    assert world.built[1].user_ids == [ANN, BOB]


def test_a_leader_that_was_away_reads_everything_again(world: World) -> None:
    world.like(ANN, "x")
    world.indexer.run_once()
    world.like(BOB, "y")
    world.store.take_changed(10)  # what another leader does meanwhile
    world.clock.now_s += INDEXER.lease_ms / 1000
    world.indexer.run_once()
    assert world.built[1].user_ids == [ANN, BOB]


def test_a_model_whose_builder_lost_the_lead_is_not_announced(world: World) -> None:
    def lose_the_lead() -> None:
        world.clock.now_s += INDEXER.lease_ms / 1000
        world.store.acquire_lease(LEASE, "other", INDEXER.lease_ms)

    world.while_built = lose_the_lead
    world.indexer.run_once()
    assert len(world.built) == 1
    assert world.in_redis() is None
    assert world.on_topic() == []


def test_who_loses_the_lead_while_reading_gives_the_marks_back(world: World) -> None:
    def lose_the_lead() -> None:
        world.clock.now_s += INDEXER.lease_ms / 1000
        world.store.acquire_lease(LEASE, "other", INDEXER.lease_ms)

    world.like(ANN, "x")
    world.store.while_read = lose_the_lead
    world.indexer.run_once()
    assert world.built == []
    assert world.store.take_changed(10) == [ANN]


def test_an_announcement_is_tried_again_without_building_again(world: World) -> None:
    world.store.refused_announcements = 2
    world.indexer.run_once()
    assert current(world).version == world.versions()[0]
    assert len(world.built) == 1
    assert world.indexer.stats.retries == 2


def test_a_broker_that_confirms_nothing_is_tried_again_without_building_again(
    world: World,
) -> None:
    world.broker.fail_with(TransientError("lost"), on="deliver")
    world.indexer.run_once()
    assert len(world.built) == 1
    assert world.indexer.stats.builds == 1
    assert world.on_topic()[-1] == (TOPIC_KEY, current(world))


def test_a_store_out_of_reach_is_waited_for_until_the_stop(world: World) -> None:
    world.store.failure = TransientError("out of reach")
    threading.Timer(0.2, world.stop.set).start()
    world.indexer.run()
    assert world.indexer.stats.retries > 0
    assert world.indexer.stats.builds == 0


def test_a_disk_that_takes_no_model_is_waited_out(world: World) -> None:
    world.like(ANN, "x")
    world.directory.write_text("a file where the directory should be")
    world.indexer.run_once()
    assert (world.indexer.stats.builds, world.indexer.stats.failures) == (0, 1)
    world.directory.unlink()
    world.indexer.run_once()
    assert world.in_redis() is None, "the next try is after the interval"
    world.clock.now_s += 60
    world.indexer.run_once()
    assert current(world).users == 1
    assert world.built[1].user_ids == [ANN]


def test_a_bug_ends_the_indexer_and_gives_the_lead_to_others(world: World) -> None:
    def broken(interactions: Interactions, on_step: Callable[[str], None]) -> Built:
        raise MemoryError

    with pytest.raises(MemoryError):
        world.another_indexer(broken).run()
    assert world.store.acquire_lease(LEASE, "other", 1)


def test_a_missing_topic_ends_the_indexer(world: World) -> None:
    publisher = Publisher(world.directory, world.store, world.sink, Topics(prefix="elsewhere."))
    indexer = Indexer(INDEXER, publisher, world.cycle(building(ModelSettings())))
    with pytest.raises(UndeliverableError):
        indexer.run()


def test_nothing_is_announced_after_a_stop(world: World) -> None:
    world.while_built = world.stop.set
    with suppress(StoppedError):
        world.indexer.run_once()
    assert len(world.built) == 1
    assert world.in_redis() is None
    assert world.versions() == []


def test_it_runs_until_it_is_told_to_stop(world: World) -> None:
    announced = threading.Event()
    world.while_built = announced.set
    running = threading.Thread(target=world.indexer.run)
    running.start()
    try:
        assert announced.wait(20)
    finally:
        world.stop.set()
        running.join(20)
    assert not running.is_alive()
    assert world.store.acquire_lease(LEASE, "other", 1), "the lease is given back"


@pytest.mark.parametrize("announcement", [b"not an announcement", None])
def test_a_new_leader_announces_the_newest_sound_version_before_it_builds(
    world: World, announcement: bytes | None
) -> None:
    for user in (ANN, BOB):
        world.like(user, "x")
        world.indexer.build_now()
        world.indexer.run_once()
    newest, older = world.versions()
    (world.directory / newest / "item_ids.json").write_text("[]")
    if announcement is not None:  # else the broken version is the announced one
        world.store.announce_model(announcement)
    world.clock.now_s += INDEXER.lease_ms / 1000
    announced_first: list[str] = []
    world.while_built = lambda: announced_first.append(current(world).version)
    world.another_indexer().run_once()
    assert announced_first == [older]
    assert current(world).version not in {older, newest}


def test_a_new_leader_leaves_a_version_that_is_here_announced(world: World) -> None:
    for _ in range(2):
        world.indexer.build_now()
        world.indexer.run_once()
    _, older = world.versions()
    use_version(world.directory, world.store, world.sink, TOPICS, older)
    assert world.publisher.restore() is None
    assert current(world).version == older


def test_a_store_that_lost_its_memory_is_told_of_the_model_again_and_read_in_full(
    world: World,
) -> None:
    world.like(ANN, "x")
    world.indexer.run_once()
    first = current(world).version
    world.store.lose_everything()
    world.like(BOB, "y")
    announced: list[str] = []
    world.while_built = lambda: announced.append(current(world).version)
    world.indexer.run_once()
    assert announced == [first]
    assert world.built[-1].user_ids == [BOB]


def test_old_versions_go_but_the_announced_one_stays(world: World) -> None:
    for _ in range(2):
        world.indexer.build_now()
        world.indexer.run_once()
    oldest = world.versions()[-1]
    for _ in range(2):
        world.indexer.build_now()
        world.indexer.run_once()
    assert len(world.versions()) == INDEXER.keep_versions
    assert oldest not in world.versions()
    oldest = world.versions()[-1]
    use_version(world.directory, world.store, world.sink, TOPICS, oldest)
    world.publisher.prune(keep=1)
    assert oldest in world.versions()


def test_a_version_that_was_chosen_stays_current_until_the_next_build(world: World) -> None:
    for _ in range(2):
        world.indexer.build_now()
        world.indexer.run_once()
    newest, older = world.versions()
    chosen = use_version(world.directory, world.store, world.sink, TOPICS, older)
    assert chosen.version == older
    assert world.on_topic()[-1] == (TOPIC_KEY, chosen)
    world.clock.now_s += 20
    world.indexer.run_once()
    assert current(world).version == older
    world.like(ANN, "x")
    world.indexer.run_once()
    assert current(world).version not in {older, newest}


@pytest.mark.parametrize("damage", ["missing", "truncated", "no such version"])
def test_a_version_that_is_not_sound_is_never_announced(world: World, damage: str) -> None:
    world.indexer.run_once()
    announced = current(world)
    world.indexer.build_now()
    world.indexer.run_once()
    broken = current(world).version
    use_version(world.directory, world.store, world.sink, TOPICS, announced.version)
    table = world.directory / broken / "item_factors.npy"
    match damage:
        case "missing":
            table.unlink()
        case "truncated":
            table.write_bytes(table.read_bytes()[:-1])
        case _:
            broken = "../models"
    with pytest.raises(ModelFileError):
        use_version(world.directory, world.store, world.sink, TOPICS, broken)
    assert current(world) == announced


def test_a_single_build_leaves_the_marks_to_the_leader(world: World) -> None:
    world.like(ANN, "x")
    settings = Settings(model=ModelSettings(directory=world.directory))
    manifest, is_current = index_once(settings, world.broker, world.store, world.stop)
    assert is_current
    assert current(world) == manifest.announcement()
    assert world.store.changed_count() == 1


def test_a_single_build_gives_way_to_a_model_of_a_later_snapshot(world: World) -> None:
    world.time_of_day_ms = count(9_000_000_000_000)
    world.like(ANN, "x")
    settings = Settings(model=ModelSettings(directory=world.directory))
    world.store.while_read = once(world.indexer.run_once)  # the leader is quicker
    manifest, is_current = index_once(settings, world.broker, world.store, world.stop)
    assert not is_current
    assert current(world).snapshot_at_ms > manifest.snapshot_at_ms


def once(action: Callable[[], None]) -> Callable[[], None]:
    actions = [action]
    return lambda: actions.pop()() if actions else None
