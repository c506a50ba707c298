"""New models that are tried on a share of the users first, from the indexer's loop to the log."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Literal

import pytest
from msgspec import structs

from indexer.canary import Evidence
from indexer.cycle import Cycle
from indexer.progress import Unwatched
from indexer.publish import Publisher
from indexer.rollout import Rollout
from indexer.service import building, run_indexer
from indexer.worker import Indexer, IndexerStats
from likewise.errors import TransientError, UndeliverableError
from likewise.experiments.comparison import Comparison
from likewise.experiments.tally import empty_tally
from likewise.experiments.verdict import Verdict
from likewise.log.topics import Topics
from likewise.messages.experiments import Experiment, decode_experiment, experiment_document
from likewise.messages.ids import ItemId, UserId
from likewise.models.canaries import CANARY, CURRENT, canary_name, read_canary
from likewise.models.versions import list_versions
from likewise.operations import experiments
from likewise.operations.models import model_rows, use_version
from likewise.settings import IndexerSettings, ModelSettings, Settings
from likewise.settings.experiments import ExperimentSettings
from likewise.store.port import Changes, UserChange
from likewise.testing import MemoryBroker, MemoryStore
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from likewise.store.port import LikeStore

TOPICS = Topics()
INDEXER = IndexerSettings(interval_s=60, min_interval_s=5, changed_share=0.5, lease_ms=60_000)
MODEL = structs.replace(ModelSettings(), canary_share=0.2, canary_max_s=3_600.0)


class World:
    """An indexer and its surroundings. Time moves only when a test moves it."""

    def __init__(self, directory: Path) -> None:
        self.now_s = 1_800_000_000.0
        self.store = MemoryStore(clock_s=lambda: self.now_s)
        self.broker = MemoryBroker()
        self.broker.ensure_topics(TOPICS.specs(partitions=1))
        self.sink = self.broker.sink()
        self.publisher = Publisher(directory, self.store, self.sink, TOPICS)
        self.directory = directory
        self.stop = threading.Event()
        self.comparison = Comparison(CANARY)
        self.lists = (0, 0)
        self.indexer = self.another_indexer()

    def another_indexer(self, settings: ModelSettings = MODEL) -> Indexer:
        rollout = Rollout(
            self.publisher,
            settings,
            window_s=60.0,
            evidence=self._evidence,
            clock_ms=self._now_ms,
        )
        return Indexer(
            INDEXER,
            self.publisher,
            Cycle(
                self.publisher.place,
                building(ModelSettings()),
                Unwatched(),
                self.stop,
                self._now_ms,
            ),
            rollout=rollout,
            clock_s=lambda: self.now_s,
        )

    def with_canary(self) -> tuple[str, str]:
        """Build a first model and a second one; return the current version and the canary's."""
        self.build()
        current = self.current()
        self.build()
        assert self.current() == current
        return current, list_versions(self.directory)[0].version

    def build(self) -> None:
        """Build on request, from another like."""
        self.like(f"u{len(list_versions(self.directory))}", "x")
        self.now_s += 1
        self.indexer.build_now()
        self.run()

    def like(self, user: str, item: str) -> None:
        change = UserChange(add={ItemId(item)})
        self.store.apply(Changes(users={UserId(user): change}), {})

    def run(self) -> None:
        """One turn of the indexer, and of a consumer."""
        self.indexer.run_once()
        self.consume()

    def consume(self) -> None:
        documents = dict(map(experiment_document, self.broker.records(TOPICS.experiments)))
        self.store.apply(Changes(experiments=documents), {})

    def find(
        self, decision: Literal["better", "worse", "not_worse", "undecided"], effect: float
    ) -> None:
        self.comparison = Comparison(CANARY, effect, effect - 0.1, effect + 0.1, decision=decision)
        self.lists = (90, 10)

    def current(self) -> str:
        announced = self.publisher.announced()
        assert announced is not None
        return announced.version

    def published(self) -> list[Experiment]:
        found = [decode_experiment(record) for record in self.broker.records(TOPICS.experiments)]
        assert all(isinstance(one, Experiment) for one in found)
        return [one for one in found if isinstance(one, Experiment)]

    def outcome(self, version: str) -> str | None:
        """Return how the canary ended, as the log, the disk and the list of models agree; None if it runs."""
        last = next(one for one in self.published()[::-1] if one.name == canary_name(version))
        assert read_canary(self.directory, version) == last
        (row,) = (row for row in model_rows(self.directory, None) if row.version == version)
        assert row.canary is not None
        decision = None if last.outcome is None else last.outcome.decision
        assert row.canary.state == (decision or "running")
        return decision

    def _evidence(self, _store: LikeStore, experiment: Experiment) -> Evidence:
        tally = empty_tally([CURRENT, CANARY])
        for name, lists in zip((CURRENT, CANARY), self.lists, strict=True):
            tally.variants[name].lists = lists
        assert [variant.name for variant in experiment.variants] == [CURRENT, CANARY]
        return Evidence(Verdict([self.comparison], [], 0.5, True, 0.05, "…"), tally)

    def _now_ms(self) -> int:
        return int(self.now_s * 1_000)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "models")


def test_the_first_models_are_announced_at_once(world: World) -> None:
    world.run()
    empty = world.current()
    world.build()
    assert world.current() != empty, "an empty model has nothing to lose"
    assert world.published() == []


def test_a_new_model_is_tried_in_place_of_being_announced(world: World) -> None:
    current, new = world.with_canary()
    (started,) = world.published()
    assert (started.name, started.canary) == (canary_name(new), True)
    assert [variant.model for variant in started.variants] == [current, new]
    assert world.outcome(new) is None
    assert (world.indexer.stats.canary.version, world.indexer.stats.builds) == (new, 2)
    world.run()
    assert world.current() == current


@pytest.mark.parametrize("decision", ["better", "not_worse"])
def test_a_model_that_is_not_worse_is_promoted(
    world: World, decision: Literal["better", "not_worse"]
) -> None:
    _, new = world.with_canary()
    world.find(decision, 0.2)
    world.run()
    assert world.current() == new
    assert world.outcome(new) == "promoted"
    assert world.indexer.stats.canary.version is None
    assert world.indexer.stats.canary.ended["promoted"] == 1


def test_a_worse_model_is_rolled_back_with_the_evidence_and_is_not_restored(world: World) -> None:
    current, new = world.with_canary()
    world.find("worse", -0.4)
    world.run()
    assert (world.current(), world.outcome(new)) == (current, "rolled_back")
    row = model_rows(world.directory, current)[0].canary
    assert row is not None
    assert (row.effect, row.low) == (-0.4, -0.5)
    assert world.indexer.stats.canary.ended["rolled_back"] == 1
    world.store.flush()
    world.publisher.restore()
    assert world.current() == current


def test_no_build_begins_while_a_canary_is_judged(world: World) -> None:
    _, new = world.with_canary()
    world.now_s += 600
    world.like("somebody", "else")
    world.run()
    assert world.indexer.stats.builds == 2
    assert world.indexer.stats.canary.version == new
    world.find("better", 0.2)
    world.run()
    assert world.indexer.stats.builds == 3
    assert world.indexer.stats.canary.version not in {None, new}


def test_a_requested_build_replaces_the_canary(world: World) -> None:
    current, new = world.with_canary()
    world.build()
    newest = list_versions(world.directory)[0].version
    assert newest != new
    assert (world.outcome(new), world.outcome(newest)) == ("stopped", None)
    assert world.current() == current


def test_without_a_verdict_the_estimate_decides_when_the_time_is_over(world: World) -> None:
    current, new = world.with_canary()
    world.find("undecided", -0.2)
    world.now_s += 3_598
    world.run()
    assert world.outcome(new) is None
    assert world.indexer.stats.canary.effect == -0.2
    world.now_s += 2
    world.run()
    assert (world.outcome(new), world.current()) == ("rolled_back", current)


def test_without_lists_the_model_is_promoted_when_the_time_is_over(world: World) -> None:
    _, new = world.with_canary()
    world.now_s += 3_600
    world.run()
    assert (world.outcome(new), world.current()) == ("promoted", new)


def test_a_prequential_canary_needs_no_share_and_ends_as_others_do(world: World) -> None:
    prequential = structs.replace(MODEL, canary_kind="prequential", canary_share=0.0)
    world.indexer = world.another_indexer(prequential)
    world.now_s += 60
    _, new = world.with_canary()
    (started,) = world.published()
    assert (started.kind, started.share) == ("prequential", 1.0)
    world.find("better", 0.2)
    world.run()
    assert (world.outcome(new), world.current()) == ("promoted", new)
    world.comparison, world.lists = Comparison(CANARY), (0, 0)
    world.build()
    newest = list_versions(world.directory)[0].version
    world.now_s += 3_600
    world.run()
    assert (world.outcome(newest), world.current()) == ("rolled_back", new), "nobody measured it"


def test_the_next_leader_continues_the_canary(world: World) -> None:
    current, new = world.with_canary()
    world.now_s += 60  # the lease expires
    other = world.another_indexer()
    other.run_once()
    assert other.stats.leads
    assert (other.stats.canary.version, other.stats.builds) == (new, 0)
    assert (world.current(), other.stats.heartbeat.ready) == (current, True)
    world.indexer.run_once()
    assert world.indexer.stats.canary.version is None, "it waits"
    world.find("better", 0.2)
    other.run_once()
    assert (world.outcome(new), world.current()) == ("promoted", new)


def test_the_next_leader_publishes_a_canary_that_its_predecessor_could_not(world: World) -> None:
    world.build()
    world.broker.fail_with(UndeliverableError("no topic"), on="send")
    with pytest.raises(UndeliverableError):
        world.build()
    assert world.published() == []
    world.now_s += 60
    other = world.another_indexer()
    other.run_once()
    assert [one.name for one in world.published()] == [
        canary_name(other.stats.canary.version or "")
    ]


def test_a_leader_that_died_after_the_announcement_is_completed(world: World) -> None:
    _, new = world.with_canary()
    use_version(world.directory, world.store, world.sink, TOPICS, new)
    world.now_s += 60
    world.indexer = world.another_indexer()
    world.run()
    assert (world.outcome(new), world.current()) == ("promoted", new)


def test_a_version_that_an_operator_makes_current_ends_the_canary(world: World) -> None:
    world.build()
    older = world.current()
    world.indexer = world.another_indexer(ModelSettings())
    world.now_s += 60
    world.run()
    world.indexer = world.another_indexer()
    world.now_s += 60
    current, new = world.with_canary()
    assert older != current
    use_version(world.directory, world.store, world.sink, TOPICS, older)
    world.run()
    assert (world.outcome(new), world.current()) == ("stopped", older)


def test_a_canary_that_an_operator_stops_is_not_promoted(world: World) -> None:
    current, new = world.with_canary()
    ended = experiments.stop(world.store, canary_name(new), now_ms=world._now_ms())
    world.publisher.publish_experiment(ended)
    world.consume()
    world.find("better", 0.2)
    world.run()
    assert (world.outcome(new), world.current()) == ("stopped", current)


def test_a_canary_whose_experiment_or_model_is_removed_is_stopped(world: World) -> None:
    current, new = world.with_canary()
    world.run()
    world.store.apply(Changes(experiments={canary_name(new): None}), {})
    world.indexer.run_once()
    assert (world.outcome(new), world.current()) == ("stopped", current)
    world.build()
    newest = list_versions(world.directory)[0].version
    (world.directory / newest / "manifest.json").unlink()
    world.find("better", 0.2)
    world.run()
    assert world.current() == current
    assert world.published()[-1].outcome is not None
    assert not world.indexer.stats.canary.version


def test_a_canary_ends_when_redis_loses_its_data(world: World) -> None:
    current, new = world.with_canary()
    world.store.flush()
    world.like("u1", "x")
    world.run()
    assert world.outcome(new) == "stopped"
    assert world.current() == current, "what is built from the rest is tried, too"


def test_the_service_tries_new_models_as_the_settings_say(world: World) -> None:
    settings = Settings(
        indexer=INDEXER,
        model=structs.replace(MODEL, directory=world.directory, canary_kind="interleaved"),
        experiments=ExperimentSettings(window_s=77.0),
    )
    world.like("ann", "x")
    stats = IndexerStats()
    started: list[Indexer] = []
    arguments = (settings, world.broker, world.store, world.stop)
    run = partial(run_indexer, *arguments, stats=stats, on_start=started.append)
    thread = threading.Thread(target=run)
    thread.start()
    try:
        wait_until(lambda: stats.builds, "the first model")
        started[0].build_now()
        wait_until(lambda: stats.canary.version, "the canary")
    finally:
        world.stop.set()
        thread.join()
    (canary,) = world.published()
    assert (canary.kind, canary.share, canary.window_s) == ("interleaved", 0.2, 77.0)


@pytest.mark.parametrize("kind", ["no share", "not on disk"])
def test_a_model_is_announced_at_once_if_there_is_no_share_or_nothing_to_compare_with(
    world: World, kind: str
) -> None:
    if kind == "no share":
        world.indexer = world.another_indexer(ModelSettings())
    world.build()
    first = world.current()
    if kind == "not on disk":
        (world.directory / first / "manifest.json").unlink()
    world.build()
    assert world.current() != first
    assert world.published() == []


def test_a_failure_of_the_broker_is_retried_at_both_ends(world: World) -> None:
    world.build()
    current = world.current()
    world.broker.fail_with(TransientError("lost"), on="deliver")
    world.build()
    new = list_versions(world.directory)[0].version
    assert (world.outcome(new), world.current()) == (None, current)
    world.broker.fail_with(TransientError("lost"), on="deliver")
    world.find("better", 0.2)
    world.run()
    assert (world.outcome(new), world.current()) == ("promoted", new)
    assert world.indexer.stats.retries == 2
