"""Prequential quality: which likes become probes, and how the model scores."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from itertools import islice
from queue import Queue
from typing import TYPE_CHECKING, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from consumers.prequential.evaluator import PrequentialEvaluator
from consumers.prequential.limits import RateLimit, TimeBudget
from consumers.prequential.probes import Probe, probes_of, sample
from consumers.prequential.sampler import Sampler
from consumers.prequential.scoring import CUTOFF, score
from consumers.prequential.stats import WINDOW, Outcome, QualityStats
from consumers.service import run_consumer
from consumers.stats import ConsumerStats
from consumers.worker import ConsumerWorker
from likewise.errors import ForeignDataError, SettingsError, TransientError
from likewise.experiments.probing import group_of
from likewise.log.topics import Topics
from likewise.messages.events import (
    Event,
    ForgetUser,
    Like,
    RestoreItem,
    RetireItem,
    Unlike,
    encode_event,
    event_key,
)
from likewise.messages.ids import ItemId, UserId
from likewise.messages.quality import combined_quality
from likewise.models.holder import load_model
from likewise.records import TopicPartition
from likewise.settings import ConsumerSettings, KafkaSettings, ModelSettings, Settings
from likewise.store.port import Advance, Changes
from likewise.testing import MemoryBroker, MemoryStore
from tests.consuming import caught_up, outcome_of, random_events
from tests.serving_rig import (
    BLOCKS,
    SNAPSHOT_AT_MS,
    VERSION,
    item,
    like,
    likes_but_one,
    write_block_model,
)
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from likewise.errors import LikewiseError

TOPICS = Topics()
P0 = TopicPartition("likes", 0)
ANN, BOB = UserId("ann"), UserId("bob")
A, B = ItemId("a"), ItemId("b")
LAST = 9
"""A block that sorts last: its items are not among the 20 most popular, all being as popular."""


# --- probes ----------------------------------------------------------------------------------


def probes_in(events: list[Event], before: Mapping[UserId, set[ItemId]]) -> list[Probe]:
    """Return the probes of a batch that is sampled whole."""
    sampled = sample(events, len(events), seed=0)
    return probes_of(events, range(len(events)), sampled, before)


@given(seed=st.integers(0, 10_000), length=st.integers(0, 120), limit=st.integers(0, 130))
def test_a_probe_holds_exactly_the_likes_right_before_the_like(
    seed: int, length: int, limit: int
) -> None:
    history = list(islice(random_events(seed), 40 + length))
    before = outcome_of(history[:40])
    events = history[40:]
    sampled = sample(events, limit, seed=seed)
    probes = probes_of(events, range(length), sampled, before)
    expected = []
    for place, event in sampled.items():
        likes = outcome_of(history[: 40 + place])[event.user_id]
        if event.item_id not in likes:
            expected.append(Probe(event.item_id, frozenset(likes), place, group_of(event.user_id)))
    assert probes == expected
    assert all(probe.item_id not in probe.liked for probe in probes)


def test_a_like_after_an_unlike_is_a_new_one_and_a_repeated_like_is_none() -> None:
    events: list[Event] = [Like(ANN, A), Like(ANN, A), Unlike(ANN, A), Like(ANN, A)]
    assert probes_in(events, {ANN: {B}}) == [
        Probe(A, frozenset({B}), 0, group_of(ANN)),
        Probe(A, frozenset({B}), 3, group_of(ANN)),
    ]


def test_a_like_of_what_is_liked_already_gives_no_probe() -> None:
    assert probes_in([Like(ANN, A)], {ANN: {A}}) == []


def test_a_user_who_was_forgotten_starts_again() -> None:
    events: list[Event] = [ForgetUser(ANN), Like(ANN, A)]
    assert probes_in(events, {ANN: {A, B}}) == [Probe(A, frozenset(), 1, group_of(ANN))]


def test_the_likes_of_one_user_are_not_those_of_another() -> None:
    events: list[Event] = [Like(BOB, B), RetireItem(B), Like(ANN, A), RestoreItem(B)]
    assert probes_in(events, {ANN: set(), BOB: set()})[1] == Probe(A, frozenset(), 2, group_of(ANN))


def test_the_likes_read_from_the_store_are_not_changed() -> None:
    before = {ANN: {B}}
    probes_in([Like(ANN, A), ForgetUser(ANN)], before)
    assert before == {ANN: {B}}


@given(st.integers(0, 50), st.integers(0, 60), st.integers())
def test_a_sample_is_bounded_in_order_and_the_same_for_the_same_seed(
    length: int, limit: int, seed: int
) -> None:
    events: list[Event] = [Like(ANN, ItemId(str(number))) for number in range(length)]
    sampled = sample(events, limit, seed=seed)
    assert len(sampled) == min(limit, length)
    assert list(sampled) == sorted(sampled)
    assert all(events[place] is like for place, like in sampled.items())
    assert sampled == sample(events, limit, seed=seed)


def test_every_place_in_a_batch_has_the_same_chance() -> None:
    events: list[Event] = [Like(ANN, ItemId(str(number))) for number in range(10)]
    counts = [0] * 10
    for seed in range(4_000):
        for place in sample(events, 2, seed=seed):
            counts[place] += 1
    assert all(abs(count - 800) < 5 * 25 for count in counts)  # five standard deviations


def test_a_rate_limit_allows_its_rate_and_one_second_at_once() -> None:
    now_s = 0.0
    limit = RateLimit(10.0, clock_s=lambda: now_s)
    assert limit.take(3) == 3
    assert limit.take(100) == 7
    assert limit.take(1) == 0
    taken = 0
    for step in range(1, 401):
        now_s = step * 0.025
        taken += limit.take(100)
    assert taken == pytest.approx(100, abs=1)
    now_s += 3_600
    assert limit.take(100) == 10


def test_a_rate_limit_below_one_a_second_still_allows_one() -> None:
    now_s = 0.0
    limit = RateLimit(0.5, clock_s=lambda: now_s)
    assert limit.take(9) == 1
    now_s = 1.9
    assert limit.take(9) == 0
    now_s = 2.0
    assert limit.take(9) == 1


# --- the sampler -----------------------------------------------------------------------------


class CountingStore(MemoryStore):
    """Counts how often likes are read, and fails while `read_failure` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0
        self.read_failure: LikewiseError | None = None

    def likes(self, users: object) -> list[set[ItemId]]:
        self.reads += 1
        if self.read_failure is not None:
            raise self.read_failure
        return super().likes(users)  # type: ignore[arg-type]  # handed on


def sampler_over(store: MemoryStore, *, room: int = 100) -> tuple[Sampler, Queue[Probe]]:
    """Return a sampler with a model, and its queue."""
    probes: Queue[Probe] = Queue(room)
    stats = QualityStats(model_version=VERSION)
    return Sampler(store, RateLimit(1_000.0), probes, stats), probes


def test_without_a_model_the_store_is_not_even_read() -> None:
    store = CountingStore()
    sampler = Sampler(store, RateLimit(1_000.0), Queue(), QualityStats())
    assert sampler.probes([Like(ANN, A)], [0], seed=0) == []
    assert store.reads == 0


def test_the_likes_of_all_sampled_users_are_read_at_once() -> None:
    store = CountingStore()
    like(store, ANN, [B])
    sampler, _ = sampler_over(store)
    asked = sampler.probes([Like(ANN, A), Like(BOB, A)], [7, 8], seed=0)
    assert asked == [
        Probe(A, frozenset({B}), 7, group_of(ANN)),
        Probe(A, frozenset(), 8, group_of(BOB)),
    ]
    assert store.reads == 1


@pytest.mark.parametrize(
    "failure", [TransientError("away"), ForeignDataError("no set"), SettingsError("no SMEMBERS")]
)
def test_a_store_that_can_not_be_read_costs_the_probes_and_nothing_else(
    failure: LikewiseError,
) -> None:
    store = CountingStore()
    store.read_failure = failure
    sampler, _ = sampler_over(store)
    assert sampler.probes([Like(ANN, A)], [0], seed=0) == []
    assert sampler._stats.dropped == {"store_error": 1}


def test_slow_reads_cost_probes_instead_of_throughput() -> None:
    now_s = 0.0

    class SlowStore(CountingStore):
        def likes(self, users: object) -> list[set[ItemId]]:
            nonlocal now_s
            now_s += 0.5
            return super().likes(users)

    store, stats = SlowStore(), QualityStats(model_version=VERSION)
    clock = lambda: now_s  # noqa: E731  # reads the variable at each call
    sampler = Sampler(store, RateLimit(1_000.0, clock), Queue(), stats, TimeBudget(clock))
    for number in range(10_000):
        now_s += 0.1
        sampler.probes([Like(ANN, A)], [0], seed=number)
    assert store.reads * 0.5 < 0.02 * now_s + 1.5
    assert store.reads * 0.5 > 0.02 * now_s - 1.5
    assert stats.dropped == {"slow_store": 10_000 - store.reads}


def test_probes_that_find_no_room_are_dropped_and_counted() -> None:
    sampler, probes = sampler_over(MemoryStore(), room=2)
    sampler.submit([Probe(A, frozenset(), 0)] * 5)
    assert probes.qsize() == 2
    assert sampler._stats.dropped == {"overload": 3}


# --- outcomes --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of blocks: users who like all of a block but one item get that item."""
    path = tmp_path_factory.mktemp("blocks")
    write_block_model(path, VERSION, blocks=BLOCKS)
    return path


def expected_of(block: int, missing: int = 0) -> Probe:
    """Return a probe that the block model predicts."""
    return Probe(item(block, missing), frozenset(likes_but_one(block, missing)), 0)


def surprise_of(block: int) -> Probe:
    """Return a probe that it misses, as does the popular list."""
    return Probe(item(LAST, 4), frozenset(likes_but_one(block)), 0)


def test_a_like_that_the_model_predicted_is_a_hit_and_another_is_a_miss(
    directory: Path,
) -> None:
    model = load_model(directory, VERSION).model
    stranger_s_first = Probe(model.item_ids[model.popular_rows[0]], frozenset(), 0)
    unheard_of = Probe(ItemId("never seen"), frozenset(likes_but_one(0)), 0)
    probes = [expected_of(LAST), surprise_of(0), stranger_s_first, unheard_of]
    assert score(model, probes, ()) == [
        Outcome("hit", popular=False),
        Outcome("miss", popular=False),
        Outcome("hit", popular=True),
        Outcome("unknown_item", popular=False),
    ]
    assert score(model, [], ()) == []


def test_the_last_of_the_twenty_counts_and_the_next_does_not(directory: Path) -> None:
    model = load_model(directory, VERSION).model
    popular = [model.item_ids[row] for row in model.popular_rows]
    probes = [Probe(popular[place], frozenset(), 0) for place in (CUTOFF - 1, CUTOFF)]
    assert [outcome.popular for outcome in score(model, probes, ())] == [True, False]
    # What is retired makes room.
    after = score(model, probes, [popular[0]])
    assert [outcome.popular for outcome in after] == [True, True]


def test_the_rates_are_those_of_the_last_probes() -> None:
    stats = QualityStats()
    assert (stats.hit_rate, stats.popular_hit_rate, stats.window) == (None, None, 0)
    stats.count([Outcome("miss", popular=True)] * 3 + [Outcome("hit", popular=False)])
    assert (stats.hit_rate, stats.popular_hit_rate, stats.window) == (0.25, 0.75, 4)
    stats.count([Outcome("hit", popular=True)] * (WINDOW - 1))
    stats.count([Outcome("unknown_item", popular=False)])
    assert stats.window == WINDOW
    assert stats.hit_rate == (WINDOW - 1) / WINDOW
    assert stats.outcomes == {"miss": 3, "hit": WINDOW, "unknown_item": 1}
    assert stats.popular_hits == WINDOW + 2


# --- in the consumer -------------------------------------------------------------------------


def publish(broker: MemoryBroker, *events: Event) -> None:
    sink = broker.sink()
    for event in events:
        sink.send("likes", encode_event(event), key=event_key(event))


def new_broker(now_ms: int = SNAPSHOT_AT_MS + 60_000) -> MemoryBroker:
    broker = MemoryBroker(clock_ms=lambda: now_ms)
    broker.ensure_topics(TOPICS.specs(1))
    return broker


@contextmanager
def consuming(
    broker: MemoryBroker, store: MemoryStore, directory: Path
) -> Iterator[tuple[ConsumerStats, QualityStats]]:
    """Run a consumer that probes every like, in a thread."""
    settings = Settings(
        kafka=KafkaSettings(partitions=1),
        consumer=ConsumerSettings(poll_timeout_ms=1, quality_samples_per_s=1_000.0),
        model=ModelSettings(directory=directory),
    )
    stop, stats = threading.Event(), ConsumerStats()
    thread = threading.Thread(
        target=run_consumer, args=[settings, broker, store, stop], kwargs={"stats": stats}
    )
    thread.start()
    try:
        wait_until(lambda: stats.quality is not None)
        assert stats.quality is not None
        yield stats, stats.quality
    finally:
        stop.set()
        thread.join(20)
        assert not thread.is_alive()


def await_model(quality: QualityStats) -> None:
    wait_until(lambda: quality.model_version == VERSION)


def test_the_hit_rate_rises_with_likes_that_the_model_predicted_and_falls_with_others(
    directory: Path,
) -> None:
    broker, store = new_broker(), MemoryStore()
    for block in range(4, LAST + 1):
        like(store, f"u{block}", likes_but_one(block))
    with consuming(broker, store, directory) as (_, quality):
        await_model(quality)
        publish(broker, *(Like(UserId(f"u{block}"), item(block, 0)) for block in range(4, LAST)))
        wait_until(lambda: quality.window == 5)
        assert quality.hit_rate == 1.0
        assert quality.popular_hit_rate == 0.0
        [kept] = wait_until(store.qualities, "others can read the rates")
        assert combined_quality([kept], now_ms=time.time_ns() // 1_000_000) is not None
        publish(broker, *(Like(UserId(f"u{block}"), item(LAST, 4)) for block in range(4, LAST)))
        wait_until(lambda: quality.window == 10)
        assert quality.hit_rate == 0.5
        # Repeated likes give no probes: these items are liked already.
        publish(broker, *(Like(UserId(f"u{block}"), item(LAST, 4)) for block in range(4, LAST)))
        wait_until(lambda: caught_up(broker, store, TOPICS.likes))
        publish(broker, Like(UserId(f"u{LAST}"), item(LAST, 0)))
        wait_until(lambda: quality.window == 11)
        assert quality.outcomes == {"hit": 6, "miss": 5}


def test_likes_from_before_the_snapshot_and_of_retired_items_are_discarded(
    directory: Path,
) -> None:
    broker, store = new_broker(SNAPSHOT_AT_MS - 1), MemoryStore()
    with consuming(broker, store, directory) as (_, quality):
        await_model(quality)
        publish(broker, Like(ANN, item(0, 0)))
        wait_until(lambda: quality.discarded == {"seen_by_model": 1})
    broker, store = new_broker(), MemoryStore()
    store.apply(Changes(retire={item(0, 0)}), {})
    with consuming(broker, store, directory) as (_, quality):
        await_model(quality)
        publish(broker, Like(ANN, item(0, 0)), Like(ANN, item(0, 1)))
        wait_until(lambda: quality.window == 1)
        assert quality.discarded == {"retired_item": 1}


@pytest.mark.parametrize("state", ["missing", "empty", "broken"])
def test_without_a_sound_model_likes_are_applied_and_little_is_logged(
    tmp_path: Path, state: str
) -> None:
    models = tmp_path / "models"
    if state != "missing":
        models.mkdir()
    if state == "broken":
        write_block_model(models, VERSION, blocks=2)
        (models / VERSION / "item_ids.json").write_bytes(b"[")
    broker, store = new_broker(), MemoryStore()
    with capture_logs() as logs, consuming(broker, store, models) as (stats, quality):
        publish(broker, Like(ANN, A))
        wait_until(lambda: stats.events_applied == 1)
        wait_until(lambda: any("looking" in line["event"] for line in logs))
        assert quality.model_version is None
        assert quality.window == 0
        assert sum(line["log_level"] == "error" for line in logs) <= 1


def test_a_model_that_comes_later_is_scored(tmp_path: Path) -> None:
    broker, store = new_broker(), MemoryStore()
    like(store, ANN, likes_but_one(0))
    with consuming(broker, store, tmp_path) as (_, quality):
        write_block_model(tmp_path, VERSION, blocks=2)
        await_model(quality)
        publish(broker, Like(ANN, item(0, 0)))
        wait_until(lambda: quality.hit_rate == 1.0)


def test_a_model_that_breaks_the_ranking_is_named_once_and_likes_go_on(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> list[Outcome]:
        raise ValueError("shapes")

    monkeypatch.setattr("consumers.prequential.evaluator.score", broken)
    broker, store = new_broker(), MemoryStore()
    with capture_logs() as logs, consuming(broker, store, directory) as (stats, quality):
        await_model(quality)
        for number in range(3):
            publish(broker, Like(ANN, item(0, number)))
            wait_until(lambda number=number: quality.discarded["failed"] == number + 1)  # type: ignore[misc]  # mypy types no default of a lambda
        assert stats.events_applied == 3
    assert [line["event"] for line in logs if line["log_level"] == "error"] == [
        "quality cannot be measured"
    ]


def test_an_evaluator_that_fails_affects_nothing_else(directory: Path) -> None:
    class Refusing(MemoryStore):
        def lookup(self, *_: object) -> NoReturn:
            raise SettingsError("no permission")

    stats = QualityStats()
    evaluator = PrequentialEvaluator(directory, Refusing(), Queue(), stats, stop=threading.Event())
    with capture_logs() as logs:
        evaluator.run()
    assert stats.model_version is None
    assert logs[-1]["event"].startswith("quality is no longer measured")


class OneTurn(threading.Event):
    """A stop that comes once everything is applied."""

    def __init__(self, broker: MemoryBroker, store: MemoryStore) -> None:
        super().__init__()
        self._servers = (broker, store)

    def is_set(self) -> bool:
        return caught_up(*self._servers, TOPICS.likes)

    def wait(self, timeout: float | None = None) -> bool:
        return False


def apply_all(broker: MemoryBroker, store: MemoryStore, *, max_records: int = 5_000) -> list[Probe]:
    """Run a worker until everything is applied; return its probes."""
    sampler, probes = sampler_over(store)
    settings = Settings(consumer=ConsumerSettings(poll_timeout_ms=1, max_records=max_records))
    ConsumerWorker(settings, broker, store, OneTurn(broker, store), sampler=sampler).run()
    return [probes.get_nowait() for _ in range(probes.qsize())]


def test_records_that_are_read_again_give_no_second_probe() -> None:
    broker, store = new_broker(), MemoryStore()
    publish(broker, Like(ANN, A), Like(ANN, B))
    assert [probe.item_id for probe in apply_all(broker, store)] == [A, B]
    publish(broker, Unlike(ANN, A))
    assert apply_all(broker, store) == [], "a member that starts again"


def test_a_consumer_that_is_behind_takes_no_probes_until_it_has_caught_up() -> None:
    broker, store = new_broker(), MemoryStore()
    publish(broker, *(Like(ANN, ItemId(str(number))) for number in range(44)))
    probes = apply_all(broker, store, max_records=10)
    assert [probe.item_id for probe in probes] == ["40", "41", "42", "43"]


def test_a_batch_that_is_refused_gives_probes_only_once_it_is_applied() -> None:
    class TakenOverOnce(MemoryStore):
        """Another member applies the batch first; this one finds its positions moved."""

        taken_over = False

        def apply(self, changes: Changes, advances: Mapping[TopicPartition, Advance]) -> None:
            super().apply(changes, advances)
            if changes.users and not self.taken_over:
                self.taken_over = True
                super().apply(changes, advances)

    broker, store = new_broker(), TakenOverOnce()
    publish(broker, Like(ANN, A))
    assert apply_all(broker, store) == []
    assert store.likes([ANN]) == [{A}]


def test_bad_events_do_not_shift_the_timestamps() -> None:
    now_ms = 0
    broker = MemoryBroker(clock_ms=lambda: now_ms)
    broker.ensure_topics(TOPICS.specs(1))
    for event in (Like(ANN, A), None, Like(ANN, B)):
        now_ms += 10
        if event is None:
            broker.sink().send("likes", b"no event", key=b"ann")
        else:
            publish(broker, event)
    assert [probe.at_ms for probe in apply_all(broker, MemoryStore())] == [10, 30]
