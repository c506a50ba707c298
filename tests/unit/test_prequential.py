"""Prequential quality: what is asked, of which likes, and what comes of it."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from itertools import islice
from queue import Queue
from typing import TYPE_CHECKING, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from consumers.prequential.evaluator import PrequentialEvaluator
from consumers.prequential.questions import Question, choose, questions_of
from consumers.prequential.sampler import Allowance, Sampler, TimeBudget
from consumers.prequential.scoring import CUTOFF, judge
from consumers.prequential.stats import WINDOW, QualityStats, Verdict
from consumers.service import run_consumer
from consumers.stats import ConsumerStats
from consumers.worker import ConsumerWorker
from likewise.errors import ForeignDataError, SettingsError, TransientError
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


# --- what is asked ---------------------------------------------------------------------------


def asked_of(events: list[Event], before: Mapping[UserId, set[ItemId]]) -> list[Question]:
    """Return the questions where every like is in the sample."""
    chosen = choose(events, len(events), seed=0)
    return questions_of(events, range(len(events)), chosen, before)


@given(seed=st.integers(0, 10_000), length=st.integers(0, 120), limit=st.integers(0, 130))
def test_a_question_holds_exactly_the_likes_right_before_the_like(
    seed: int, length: int, limit: int
) -> None:
    history = list(islice(random_events(seed), 40 + length))
    before = outcome_of(history[:40])
    events = history[40:]
    chosen = choose(events, limit, seed=seed)
    questions = questions_of(events, range(length), chosen, before)
    expected = []
    for place, event in chosen.items():
        likes = outcome_of(history[: 40 + place])[event.user_id]
        if event.item_id not in likes:
            expected.append(Question(event.item_id, frozenset(likes), place))
    assert questions == expected
    assert all(question.item_id not in question.liked for question in questions)


def test_a_like_after_an_unlike_is_a_new_one_and_a_repeated_like_is_none() -> None:
    events: list[Event] = [Like(ANN, A), Like(ANN, A), Unlike(ANN, A), Like(ANN, A)]
    assert asked_of(events, {ANN: {B}}) == [
        Question(A, frozenset({B}), 0),
        Question(A, frozenset({B}), 3),
    ]


def test_a_like_of_what_is_liked_already_is_not_asked_about() -> None:
    assert asked_of([Like(ANN, A)], {ANN: {A}}) == []


def test_a_user_who_was_forgotten_starts_anew() -> None:
    events: list[Event] = [ForgetUser(ANN), Like(ANN, A)]
    assert asked_of(events, {ANN: {A, B}}) == [Question(A, frozenset(), 1)]


def test_the_likes_of_one_user_are_not_those_of_another() -> None:
    events: list[Event] = [Like(BOB, B), RetireItem(B), Like(ANN, A), RestoreItem(B)]
    assert asked_of(events, {ANN: set(), BOB: set()})[1] == Question(A, frozenset(), 2)


def test_what_is_read_from_the_store_is_left_as_it_is() -> None:
    before = {ANN: {B}}
    asked_of([Like(ANN, A), ForgetUser(ANN)], before)
    assert before == {ANN: {B}}


@given(st.integers(0, 50), st.integers(0, 60), st.integers())
def test_a_sample_is_bounded_in_order_and_the_same_for_the_same_seed(
    length: int, limit: int, seed: int
) -> None:
    events: list[Event] = [Like(ANN, ItemId(str(number))) for number in range(length)]
    chosen = choose(events, limit, seed=seed)
    assert len(chosen) == min(limit, length)
    assert list(chosen) == sorted(chosen)
    assert all(events[place] is like for place, like in chosen.items())
    assert chosen == choose(events, limit, seed=seed)


def test_every_place_in_a_batch_has_the_same_chance() -> None:
    events: list[Event] = [Like(ANN, ItemId(str(number))) for number in range(10)]
    counts = [0] * 10
    for seed in range(4_000):
        for place in choose(events, 2, seed=seed):
            counts[place] += 1
    assert all(abs(count - 800) < 5 * 25 for count in counts)  # five standard deviations


def test_an_allowance_lets_its_rate_through_and_one_second_at_once() -> None:
    now_s = 0.0
    allowance = Allowance(10.0, clock_s=lambda: now_s)
    assert allowance.take(3) == 3
    assert allowance.take(100) == 7
    assert allowance.take(1) == 0
    taken = 0
    for step in range(1, 401):
        now_s = step * 0.025
        taken += allowance.take(100)
    assert taken == pytest.approx(100, abs=1)
    now_s += 3_600
    assert allowance.take(100) == 10


def test_an_allowance_below_one_a_second_still_lets_one_through() -> None:
    now_s = 0.0
    allowance = Allowance(0.5, clock_s=lambda: now_s)
    assert allowance.take(9) == 1
    now_s = 1.9
    assert allowance.take(9) == 0
    now_s = 2.0
    assert allowance.take(9) == 1


# --- the sampler -----------------------------------------------------------------------------


class CountingStore(MemoryStore):
    """Counts how often likes are read, and fails to where it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0
        self.read_failure: LikewiseError | None = None

    def likes(self, users: object) -> list[set[ItemId]]:
        self.reads += 1
        if self.read_failure is not None:
            raise self.read_failure
        return super().likes(users)  # type: ignore[arg-type]  # handed on


def sampler_over(store: MemoryStore, *, room: int = 100) -> tuple[Sampler, Queue[Question]]:
    """Return a sampler that has a model to ask, and where its questions go."""
    questions: Queue[Question] = Queue(room)
    stats = QualityStats(model_version=VERSION)
    return Sampler(store, Allowance(1_000.0), questions, stats), questions


def test_without_a_model_the_store_is_not_even_read() -> None:
    store = CountingStore()
    sampler = Sampler(store, Allowance(1_000.0), Queue(), QualityStats())
    assert sampler.look([Like(ANN, A)], [0], seed=0) == []
    assert store.reads == 0


def test_the_likes_of_all_sampled_users_are_read_at_once() -> None:
    store = CountingStore()
    like(store, ANN, [B])
    sampler, _ = sampler_over(store)
    asked = sampler.look([Like(ANN, A), Like(BOB, A)], [7, 8], seed=0)
    assert asked == [Question(A, frozenset({B}), 7), Question(A, frozenset(), 8)]
    assert store.reads == 1


@pytest.mark.parametrize(
    "failure", [TransientError("away"), ForeignDataError("no set"), SettingsError("no SMEMBERS")]
)
def test_a_store_that_can_not_be_read_costs_the_questions_and_nothing_else(
    failure: LikewiseError,
) -> None:
    store = CountingStore()
    store.read_failure = failure
    sampler, _ = sampler_over(store)
    assert sampler.look([Like(ANN, A)], [0], seed=0) == []
    assert sampler._stats.dropped == {"store_error": 1}


def test_slow_reads_cost_questions_instead_of_throughput() -> None:
    now_s = 0.0

    class SlowStore(CountingStore):
        def likes(self, users: object) -> list[set[ItemId]]:
            nonlocal now_s
            now_s += 0.5
            return super().likes(users)

    store, stats = SlowStore(), QualityStats(model_version=VERSION)
    clock = lambda: now_s  # noqa: E731  # read anew with each call
    sampler = Sampler(store, Allowance(1_000.0, clock), Queue(), stats, TimeBudget(clock))
    for number in range(10_000):
        now_s += 0.1
        sampler.look([Like(ANN, A)], [0], seed=number)
    assert store.reads * 0.5 < 0.02 * now_s + 1.5
    assert store.reads * 0.5 > 0.02 * now_s - 1.5
    assert stats.dropped == {"slow_store": 10_000 - store.reads}


def test_what_finds_no_room_is_dropped_and_counted() -> None:
    sampler, questions = sampler_over(MemoryStore(), room=2)
    sampler.ask([Question(A, frozenset(), 0)] * 5)
    assert questions.qsize() == 2
    assert sampler._stats.dropped == {"overload": 3}


# --- the verdicts ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of blocks: who likes all of a block but one is given that one."""
    path = tmp_path_factory.mktemp("blocks")
    write_block_model(path, VERSION, blocks=BLOCKS)
    return path


def expected_of(block: int, missing: int = 0) -> Question:
    """Return a question that the block model answers."""
    return Question(item(block, missing), frozenset(likes_but_one(block, missing)), 0)


def surprise_of(block: int) -> Question:
    """Return a question that it misses, as does the popular list."""
    return Question(item(LAST, 4), frozenset(likes_but_one(block)), 0)


def test_a_like_that_the_model_foretold_is_a_hit_and_one_that_it_did_not_is_a_miss(
    directory: Path,
) -> None:
    model = load_model(directory, VERSION).model
    stranger_s_first = Question(model.item_ids[model.popular_rows[0]], frozenset(), 0)
    unheard_of = Question(ItemId("never seen"), frozenset(likes_but_one(0)), 0)
    questions = [expected_of(LAST), surprise_of(0), stranger_s_first, unheard_of]
    assert judge(model, questions, ()) == [
        Verdict("hit", popular=False),
        Verdict("miss", popular=False),
        Verdict("hit", popular=True),
        Verdict("unknown_item", popular=False),
    ]
    assert judge(model, [], ()) == []


def test_the_last_of_the_twenty_counts_and_the_next_does_not(directory: Path) -> None:
    model = load_model(directory, VERSION).model
    popular = [model.item_ids[row] for row in model.popular_rows]
    questions = [Question(popular[place], frozenset(), 0) for place in (CUTOFF - 1, CUTOFF)]
    assert [verdict.popular for verdict in judge(model, questions, ())] == [True, False]
    # What is retired makes room.
    after = judge(model, questions, [popular[0]])
    assert [verdict.popular for verdict in after] == [True, True]


def test_the_rates_are_those_of_the_last_questions_alone() -> None:
    stats = QualityStats()
    assert (stats.hit_rate, stats.popular_hit_rate, stats.window) == (None, None, 0)
    stats.count([Verdict("miss", popular=True)] * 3 + [Verdict("hit", popular=False)])
    assert (stats.hit_rate, stats.popular_hit_rate, stats.window) == (0.25, 0.75, 4)
    stats.count([Verdict("hit", popular=True)] * (WINDOW - 1))
    stats.count([Verdict("unknown_item", popular=False)])
    assert stats.window == WINDOW
    assert stats.hit_rate == (WINDOW - 1) / WINDOW
    assert stats.questions == {"miss": 3, "hit": WINDOW, "unknown_item": 1}
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
    """Run a consumer that asks about every like, in a thread."""
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


def test_the_hit_rate_rises_with_likes_that_the_model_foretold_and_falls_with_others(
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
        publish(broker, *(Like(UserId(f"u{block}"), item(LAST, 4)) for block in range(4, LAST)))
        wait_until(lambda: quality.window == 10)
        assert quality.hit_rate == 0.5
        # The same once more says nothing: these are liked already.
        publish(broker, *(Like(UserId(f"u{block}"), item(LAST, 4)) for block in range(4, LAST)))
        wait_until(lambda: caught_up(broker, store, TOPICS.likes))
        publish(broker, Like(UserId(f"u{LAST}"), item(LAST, 0)))
        wait_until(lambda: quality.window == 11)
        assert quality.questions == {"hit": 6, "miss": 5}


def test_likes_from_before_the_snapshot_and_of_retired_items_prove_nothing(
    directory: Path,
) -> None:
    broker, store = new_broker(SNAPSHOT_AT_MS - 1), MemoryStore()
    with consuming(broker, store, directory) as (_, quality):
        await_model(quality)
        publish(broker, Like(ANN, item(0, 0)))
        wait_until(lambda: quality.unasked == {"seen_by_model": 1})
    broker, store = new_broker(), MemoryStore()
    store.apply(Changes(retire={item(0, 0)}), {})
    with consuming(broker, store, directory) as (_, quality):
        await_model(quality)
        publish(broker, Like(ANN, item(0, 0)), Like(ANN, item(0, 1)))
        wait_until(lambda: quality.window == 1)
        assert quality.unasked == {"retired_item": 1}


@pytest.mark.parametrize("state", ["missing", "empty", "broken"])
def test_without_a_sound_model_likes_are_applied_and_little_is_said(
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


def test_a_model_that_comes_later_is_taken_up(tmp_path: Path) -> None:
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
    def broken(*_: object) -> list[Verdict]:
        raise ValueError("shapes")

    monkeypatch.setattr("consumers.prequential.evaluator.judge", broken)
    broker, store = new_broker(), MemoryStore()
    with capture_logs() as logs, consuming(broker, store, directory) as (stats, quality):
        await_model(quality)
        for number in range(3):
            publish(broker, Like(ANN, item(0, number)))
            wait_until(lambda number=number: quality.unasked["failed"] == number + 1)  # type: ignore[misc]  # mypy types no default of a lambda
        assert stats.events_applied == 3
    assert [line["event"] for line in logs if line["log_level"] == "error"] == [
        "quality can't be measured"
    ]


def test_an_examiner_that_dies_takes_nobody_along(directory: Path) -> None:
    class Refusing(MemoryStore):
        def lookup(self, *_: object) -> NoReturn:
            raise SettingsError("no permission")

    stats = QualityStats()
    evaluator = PrequentialEvaluator(directory, Refusing(), Queue(), stats, stop=threading.Event())
    with capture_logs() as logs:
        evaluator.run()
    assert stats.model_version is None
    assert logs[-1]["event"].startswith("quality is not measured any more")


class OneTurn(threading.Event):
    """A stop that comes once everything is applied."""

    def __init__(self, broker: MemoryBroker, store: MemoryStore) -> None:
        super().__init__()
        self._servers = (broker, store)

    def is_set(self) -> bool:
        return caught_up(*self._servers, TOPICS.likes)

    def wait(self, timeout: float | None = None) -> bool:
        return False


def apply_all(
    broker: MemoryBroker, store: MemoryStore, *, max_records: int = 5_000
) -> list[Question]:
    """Run a worker until everything is applied; return what it has asked."""
    sampler, questions = sampler_over(store)
    settings = ConsumerSettings(poll_timeout_ms=1, max_records=max_records)
    stop = OneTurn(broker, store)
    ConsumerWorker(broker, store, TOPICS, settings, stop=stop, sampler=sampler).run()
    return [questions.get_nowait() for _ in range(questions.qsize())]


def test_records_that_are_read_again_are_not_asked_about_again() -> None:
    broker, store = new_broker(), MemoryStore()
    publish(broker, Like(ANN, A), Like(ANN, B))
    assert [question.item_id for question in apply_all(broker, store)] == [A, B]
    publish(broker, Unlike(ANN, A))
    assert apply_all(broker, store) == [], "a member that starts anew"


def test_a_consumer_that_is_behind_asks_nothing_until_it_has_caught_up() -> None:
    broker, store = new_broker(), MemoryStore()
    publish(broker, *(Like(ANN, ItemId(str(number))) for number in range(44)))
    questions = apply_all(broker, store, max_records=10)
    assert [question.item_id for question in questions] == ["40", "41", "42", "43"]


def test_a_batch_that_is_refused_is_asked_about_only_when_it_counts() -> None:
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
    assert [question.at_ms for question in apply_all(broker, MemoryStore())] == [10, 30]
