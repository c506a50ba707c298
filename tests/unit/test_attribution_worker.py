"""The loop of attribution on the fakes: whatever fails, the counts match the log."""

from __future__ import annotations

import random
import threading
import time
from itertools import count
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from consumers.attribution import runs as counted_runs
from consumers.attribution.runs import Runs
from consumers.attribution.service import Attribution
from consumers.attribution.stats import AttributionStats
from consumers.attribution.worker import AttributionWorker
from likewise.errors import AttributionMovedError, SettingsError, TransientError
from likewise.experiments.runs import run_key, run_of
from likewise.experiments.tally import to_fields
from likewise.experiments.window import LATENESS_MS
from likewise.log.topics import Topics
from likewise.messages.dead_letters import decode_dead_letter
from likewise.messages.events import Like, encode_event
from likewise.messages.experiments import Outcome, encode_experiment
from likewise.messages.exposures import encode_exposure
from likewise.messages.ids import ItemId
from likewise.operations.tallies import tally_of, tally_outside_experiments
from likewise.settings import ConsumerSettings, Settings
from likewise.settings.experiments import ExperimentSettings
from likewise.store.port import Advance, Changes, UserChange
from likewise.testing import MemoryBroker, MemoryStore
from tests.attributing import USERS, counted_in, experiment, exposure, put, send_traffic
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from likewise.messages.experiments import Experiment
    from likewise.store.attribution_port import AttributionUpdate

TOPICS = Topics()
NOW_MS = time.time_ns() // 1_000_000
LONG_AGO_MS = 1_700_000_000_000
SETTINGS = Settings(consumer=ConsumerSettings(poll_timeout_ms=1))
EVERY_LIST = Settings(
    consumer=ConsumerSettings(poll_timeout_ms=1), experiments=ExperimentSettings(lists="all")
)
WIDE = experiment(started_at_ms=NOW_MS)
OUTAGE = TransientError("the server cannot be reached")


class StopWhen(threading.Event):
    """Set once the condition holds, which must happen within ten seconds."""

    def __init__(self, condition: Callable[[], bool]) -> None:
        super().__init__()
        self._condition = condition
        self._deadline_s = time.monotonic() + 10.0

    def is_set(self) -> bool:
        assert time.monotonic() < self._deadline_s, "the condition never held"
        return self._condition()

    def wait(self, timeout: float | None = None) -> bool:
        return self.is_set()


@pytest.fixture
def broker() -> MemoryBroker:
    broker = MemoryBroker(clock_ms=lambda: NOW_MS)
    broker.ensure_topics(TOPICS.specs(3))
    return broker


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def ends(broker: MemoryBroker) -> dict[Any, int]:
    topics = (TOPICS.exposures, TOPICS.likes)
    return broker.end_offsets([one for topic in topics for one in broker.partitions(topic)])


def is_counted(broker: MemoryBroker, store: MemoryStore) -> bool:
    """Whether all of both topics is counted."""
    at = store.attribution_positions()
    return {partition: one.offset for partition, one in at.items()} == ends(broker)


def worker(
    broker: MemoryBroker,
    store: MemoryStore,
    *,
    until: Callable[[], bool] | None = None,
    settings: Settings = SETTINGS,
    stats: AttributionStats | None = None,
) -> AttributionWorker:
    return AttributionWorker(
        settings,
        TOPICS,
        broker,
        store,
        StopWhen(until or (lambda: is_counted(broker, store))),
        runs=Runs(store, settings.experiments),
        stats=stats or AttributionStats(),
    )


def send(broker: MemoryBroker, *, seed: int = 1, lists: int = 200, one: Experiment = WIDE) -> None:
    send_traffic(broker.sink(), TOPICS, one, seed=seed, now_ms=NOW_MS, lists=lists)


def assert_counts_match(broker: MemoryBroker, store: MemoryStore, one: Experiment = WIDE) -> None:
    everything = broker.records(TOPICS.exposures) + broker.records(TOPICS.likes)
    counted = to_fields(tally_of(store, one))
    assert counted == counted_in(everything, TOPICS, one)
    assert counted["/control/likes"] > 0


def test_lists_and_likes_are_counted(broker: MemoryBroker, store: MemoryStore) -> None:
    put(store, WIDE)
    send(broker)
    stats = AttributionStats()
    worker(broker, store, stats=stats).run()
    assert_counts_match(broker, store)
    tally = tally_of(store, WIDE)
    assert stats.lists["wide", "wide"] == tally.variants["wide"].lists
    assert stats.likes["wide", "control"] == tally.variants["control"].likes
    assert tally.items == {"control": 30, "wide": 30}
    assert tally.by_scenario["home"]["wide"].lists > 0


def test_two_members_count_as_one(broker: MemoryBroker, store: MemoryStore) -> None:
    put(store, WIDE)
    send(broker, lists=400)
    members = [threading.Thread(target=worker(broker, store).run) for _ in range(2)]
    for member in members:
        member.start()
    for member in members:
        member.join()
    assert_counts_match(broker, store)


def test_after_any_crash_the_counts_match(broker: MemoryBroker, store: MemoryStore) -> None:
    """A crash may come before or after a batch is applied: the store then raises, or has applied it."""
    put(store, WIDE)
    rng = random.Random(5)

    class Crash(Exception):  # noqa: N818  # it stands for the end of a process
        pass

    class Crashing(MemoryStore):
        def apply_attribution(self, update: AttributionUpdate) -> None:
            chance = rng.random()
            if chance < 0.2:
                raise Crash
            super().apply_attribution(update)
            if chance < 0.4:
                raise Crash

    crashing = Crashing()
    put(crashing, WIDE)
    for seed in range(10):
        send(broker, seed=seed, lists=20)
        for _ in range(50):
            try:
                worker(broker, crashing).run()
            except Crash:
                continue
            break
    assert is_counted(broker, crashing)
    assert_counts_match(broker, crashing)


def test_a_user_whom_another_member_changed_is_read_and_counted_again(
    broker: MemoryBroker,
) -> None:
    class Contended(MemoryStore):
        refusals = 3

        def apply_attribution(self, update: AttributionUpdate) -> None:
            if update.windows and self.refusals:
                self.refusals -= 1
                raise AttributionMovedError("another member has counted")
            super().apply_attribution(update)

    store, stats = Contended(), AttributionStats()
    put(store, WIDE)
    send(broker)
    worker(broker, store, stats=stats).run()
    assert stats.conflicts == 3
    assert_counts_match(broker, store)


def test_outages_are_waited_for(broker: MemoryBroker, store: MemoryStore) -> None:
    put(store, WIDE)
    send(broker)
    broker.fail_with(OUTAGE, on="poll")
    broker.fail_with(OUTAGE, OUTAGE, on="commit")
    stats = AttributionStats()
    worker(broker, store, stats=stats).run()
    assert stats.retries >= 1
    assert_counts_match(broker, store)


def test_after_redis_was_lost_everything_is_counted_again_from_the_start_of_the_experiment(
    broker: MemoryBroker, store: MemoryStore
) -> None:
    put(store, WIDE)
    send(broker)
    worker(broker, store).run()
    store.flush()
    put(store, WIDE)
    send(broker, seed=2)
    worker(broker, store).run()
    assert_counts_match(broker, store)


def test_a_running_worker_notices_that_redis_was_lost(
    broker: MemoryBroker, store: MemoryStore
) -> None:
    put(store, WIDE)
    send(broker)
    lost = False

    def is_counted_after_the_loss() -> bool:
        nonlocal lost
        if not lost and is_counted(broker, store):
            lost = True
            store.flush()
            put(store, WIDE)
            send(broker, seed=2)
        return lost and is_counted(broker, store)

    worker(broker, store, until=is_counted_after_the_loss).run()
    assert_counts_match(broker, store)


def test_nothing_is_counted_before_redis_has_all_its_experiments_again(
    broker: MemoryBroker, store: MemoryStore
) -> None:
    older = experiment("older", started_at_ms=NOW_MS - 60_000)
    for one in (WIDE, older):
        document = encode_experiment(one)
        broker.sink().send(TOPICS.experiments, document, key=one.name.encode())
        send(broker, one=one, seed=len(one.name))
    documents = broker.partitions(TOPICS.experiments)
    ends_of = broker.end_offsets(documents)
    put(store, WIDE)  # the consumer has applied one of the two
    looks = count()
    worker(broker, store, until=lambda: next(looks) > 20).run()
    assert store.attribution_positions() == {}
    store.apply(
        Changes(experiments={older.name: encode_experiment(older)}),
        {one: Advance(None, end) for one, end in ends_of.items()},
    )
    worker(broker, store).run()
    assert_counts_match(broker, store, WIDE)
    assert_counts_match(broker, store, older)


def test_records_before_the_experiment_are_not_read(store: MemoryStore) -> None:
    now_ms = NOW_MS - 2 * LATENESS_MS
    broker = MemoryBroker(clock_ms=lambda: now_ms)
    broker.ensure_topics(TOPICS.specs(1))
    send_traffic(broker.sink(), TOPICS, WIDE, seed=1, now_ms=now_ms, lists=100)
    now_ms = NOW_MS
    later = experiment(started_at_ms=now_ms)
    put(store, later)
    [before] = broker.end_offsets(broker.partitions(TOPICS.likes)).values()
    reads: list[int] = []

    class Noting(MemoryStore):
        def apply_attribution(self, update: AttributionUpdate) -> None:
            reads.extend(step.next.offset for step in update.steps.values())
            super().apply_attribution(update)

    noting = Noting()
    put(noting, later)
    send_traffic(broker.sink(), TOPICS, later, seed=2, now_ms=now_ms, lists=100)
    worker(broker, noting).run()
    assert min(reads) >= before
    assert_counts_match(broker, noting, later)


def test_an_undecodable_exposure_is_dead_lettered_and_stops_nothing(
    broker: MemoryBroker, store: MemoryStore
) -> None:
    put(store, WIDE)
    broker.sink().send(TOPICS.exposures, b"{", key=b"ann").result(1.0)
    send_bad = encode_exposure(exposure(WIDE, USERS[0], 1, [ItemId("a")], NOW_MS))
    broker.sink().send(TOPICS.exposures, send_bad, key=b"somebody else").result(1.0)
    broker.sink().send(TOPICS.likes, b"{", key=b"ann").result(1.0)
    shown = encode_exposure(exposure(WIDE, USERS[0], 2, [ItemId("a")], NOW_MS))
    broker.sink().send(TOPICS.exposures, shown, key=USERS[0].encode()).result(1.0)
    worker(broker, store).run()
    letters = [decode_dead_letter(record) for record in broker.records(TOPICS.dead_letters)]
    assert sorted(letter.code for letter in letters) == ["key_mismatch", "not_json"]
    assert {letter.source.topic for letter in letters} == {TOPICS.exposures}
    assert sum(one.lists for one in tally_of(store, WIDE).variants.values()) == 1


def test_a_stopped_experiment_is_counted_until_its_window_is_over(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumers.attribution.positions._REFRESH_EVERY_S", 0.0)
    broker = MemoryBroker(clock_ms=lambda: LONG_AGO_MS)
    broker.ensure_topics(TOPICS.specs(3))
    stopped = experiment(started_at_ms=LONG_AGO_MS, stopped_at_ms=LONG_AGO_MS + 1)
    put(store, stopped)
    send_traffic(broker.sink(), TOPICS, stopped, seed=1, now_ms=LONG_AGO_MS, lists=200)
    worker(broker, store, until=lambda: False).run()  # ends by itself
    assert store.closed_runs() == {run_key(stopped)}
    assert Runs(store, ExperimentSettings()).to_count() == []
    assert_counts_match(broker, store, stopped)


def test_an_experiment_that_stopped_with_a_verdict_is_followed(store: MemoryStore) -> None:
    verdict = {"comparisons": [{"variant": "b", "effect": 0.1}]}
    outcome = Outcome(decision="stopped", verdict=verdict)
    stopped = msgspec.structs.replace(experiment(started_at_ms=1, stopped_at_ms=2), outcome=outcome)
    put(store, stopped)
    runs = Runs(store, ExperimentSettings())
    assert [run.key for run in runs.to_count()] == [run_key(stopped)]
    store.apply(Changes(experiments={stopped.name: None}), {})
    assert runs.to_count() == []


def test_with_all_lists_those_outside_experiments_are_counted_and_again_after_a_loss(
    broker: MemoryBroker, store: MemoryStore
) -> None:
    send(broker)
    worker(broker, store, settings=EVERY_LIST).run()
    assert tally_outside_experiments(store).variants[""].lists == 0
    user, item = USERS[0], ItemId("a")
    shown = encode_exposure(exposure(None, user, 1, [item], NOW_MS))
    sink = broker.sink()
    sink.send(TOPICS.exposures, shown, key=user.encode()).result(1.0)
    sink.send(TOPICS.likes, encode_event(Like(user, item)), key=user.encode()).result(1.0)
    worker(broker, store, settings=EVERY_LIST).run()
    tally = tally_outside_experiments(store)
    assert (tally.variants[""].lists, tally.variants[""].likes) == (1, 1)
    assert tally.by_scenario["home"][""].hits == 1
    assert tally.items == {"": 1}
    store.flush()
    worker(broker, store, settings=EVERY_LIST).run()
    assert tally_outside_experiments(store) == tally


def test_without_any_list_in_the_log_no_like_of_the_past_is_read(
    broker: MemoryBroker, store: MemoryStore
) -> None:
    user = USERS[0]
    like = encode_event(Like(user, ItemId("a")))
    broker.sink().send(TOPICS.likes, like, key=user.encode()).result(1.0)
    worker(broker, store, settings=EVERY_LIST).run()
    assert store.attribution_state([user], []).windows == [None]


def test_a_forgotten_user_is_counted_on(broker: MemoryBroker, store: MemoryStore) -> None:
    put(store, WIDE)
    user = USERS[0]
    for number in (1, 2):
        body = encode_exposure(exposure(WIDE, user, number, [ItemId("a")], NOW_MS))
        broker.sink().send(TOPICS.exposures, body, key=user.encode()).result(1.0)
        worker(broker, store).run()
        store.apply(Changes(users={user: UserChange(forget=True)}), {})
        assert store.attribution_state([user], []).windows == [None]
    tally = tally_of(store, WIDE)
    assert sum(one.n2 for one in tally.variants.values()) == 4
    assert sum(one.users for one in tally.variants.values()) == 1


def test_without_experiments_nothing_is_read_from_kafka(
    broker: MemoryBroker, store: MemoryStore
) -> None:
    looks = 0

    class Looked(MemoryStore):
        def experiments(self) -> dict[str, bytes]:
            nonlocal looks
            looks += 1
            return super().experiments()

    broker.down = True  # any call would fail
    stats = AttributionStats()
    Attribution(SETTINGS, broker, Looked(), StopWhen(lambda: looks == 3), stats).run()
    assert looks == 3
    assert stats.retries == 0


def test_counting_begins_with_an_experiment_and_survives_a_refusal(
    broker: MemoryBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumers.attribution.service._LOOK_EVERY_S", 0.01)
    monkeypatch.setattr("consumers.attribution.service._AGAIN_AFTER_S", 0.01)

    class Refusing(MemoryStore):
        refusals = 2

        def apply_attribution(self, update: AttributionUpdate) -> None:
            if self.refusals:
                self.refusals -= 1
                raise SettingsError("no permissions") if self.refusals else RuntimeError("a bug")
            super().apply_attribution(update)

    store, stop = Refusing(), threading.Event()
    attribution = Attribution(SETTINGS, broker, store, stop, AttributionStats())
    thread = threading.Thread(target=attribution.run)
    thread.start()
    try:
        put(store, WIDE)
        send(broker)
        wait_until(lambda: is_counted(broker, store), "all is counted")
    finally:
        stop.set()
        thread.join()
    assert_counts_match(broker, store)


def test_the_counts_of_a_removed_experiment_are_erased_after_a_while(
    broker: MemoryBroker, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, WIDE)
    send(broker)
    worker(broker, store).run()
    run = run_of(WIDE)
    runs = Runs(store, ExperimentSettings())
    assert [one.key for one in runs.to_count()] == [run.key]
    store.apply(Changes(experiments={WIDE.name: None}), {})
    runs.to_count()
    assert store.tally(run.key, run.variants).fields
    monkeypatch.setattr(counted_runs, "_ERASE_AFTER_S", 0.0)
    runs.to_count()
    assert store.tally(run.key, run.variants).fields == {}
