"""The consumer's loop on the fakes: whatever fails, the sets match the log."""

from __future__ import annotations

import copy
import itertools
import random
import threading
import time
from collections import Counter
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from consumers.positions import COMMIT_EVERY_S
from consumers.resume_points import choose_resume_point
from consumers.service import run_consumer
from consumers.stats import ConsumerStats
from consumers.worker import ConsumerWorker
from likewise.errors import (
    ForeignDataError,
    LikewiseError,
    SettingsError,
    TransientError,
    UndeliverableError,
)
from likewise.log.topics import Topics
from likewise.messages.dead_letters import decode_dead_letter
from likewise.messages.events import Event, Like, Unlike, encode_event, event_key
from likewise.messages.ids import ItemId, UserId
from likewise.operations.status import kafka_status
from likewise.records import TopicPartition
from likewise.settings import ConsumerSettings, KafkaSettings, Settings
from likewise.store.bucket_port import Extent
from likewise.store.port import Advance, Changes, UserChange
from likewise.testing import MemoryBroker, MemoryStore
from likewise.testing.memory_group import MemorySource
from tests.consuming import caught_up, outcome_in, outcome_of, random_events

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from likewise.settings import Partitioner
    from likewise.store.port import Homes

TOPICS = Topics()
P0 = TopicPartition("likes", 0)
ANN = UserId("ann")
A, B, C = ItemId("a"), ItemId("b"), ItemId("c")
GROUP = ConsumerSettings().group
OUTAGE = TransientError("the server is out of reach")
MANY_LOOKS = 5_000


class StopWhen(threading.Event):
    """Set once the condition holds; its waits take no time and call `on_wait`."""

    def __init__(
        self, condition: Callable[[], bool], on_wait: Callable[[], object] = lambda: None
    ) -> None:
        super().__init__()
        self._condition = condition
        self._on_wait = on_wait
        self._looks = 0

    def is_set(self) -> bool:
        self._looks += 1
        assert self._looks < MANY_LOOKS, "the condition never held"
        return self._condition()

    def wait(self, timeout: float | None = None) -> bool:
        self._on_wait()
        return False


@pytest.fixture
def broker() -> MemoryBroker:
    """A broker whose likes topic has one partition."""
    return broker_with(partitions=1)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def test_likes_come_to_the_store_and_the_commits_follow(
    broker: MemoryBroker, store: MemoryStore
) -> None:
    publish(broker, Like(ANN, A), Like(ANN, B), Unlike(ANN, A))
    stats = consume(broker, store)
    assert store.likes([ANN]) == [{B}]
    assert store.positions([P0]) == [3]
    assert broker.committed(GROUP, [P0]) == {P0: 3}
    assert (stats.batches, stats.events_applied, stats.dead_letters) == (1, 3, 0)
    assert stats.lag["0"] == 0


def test_an_empty_topic_is_at_its_beginning(broker: MemoryBroker, store: MemoryStore) -> None:
    consume(broker, store)
    assert store.positions([P0]) == [0]


def test_all_partitions_are_read_in_batches_of_bounded_size(store: MemoryStore) -> None:
    broker = broker_with(partitions=4)
    events = list(islice(random_events(1), 1_000))
    publish(broker, *events)
    stats = consume(broker, store, max_records=64)
    assert outcome_in(store) == outcome_of(events)
    assert stats.batches >= 1_000 // 64
    assert stats.events_applied == 1_000


def test_a_bad_event_is_dead_lettered_whole_and_affects_no_other(
    broker: MemoryBroker, store: MemoryStore
) -> None:
    sink = broker.sink()
    publish(broker, Like(ANN, A))
    sink.send("likes", b'{"user_id": "ann"', key=b"ann", headers=[("trace", b"7")])
    publish(broker, Like(ANN, B))
    sink.send("likes", None, key=b"bob")
    stats = consume(broker, store)
    assert store.likes([ANN]) == [{A, B}]
    assert store.positions([P0]) == [4]
    assert (stats.events_applied, stats.dead_letters) == (2, 2)
    first, second = [decode_dead_letter(record) for record in broker.records(TOPICS.dead_letters)]
    assert (first.code, first.source, first.offset) == ("not_json", P0, 1)
    assert (first.value, first.key) == (b'{"user_id": "ann"', b"ann")
    assert first.headers == (("trace", b"7"),)
    assert (second.code, second.offset, second.value) == ("null_value", 3, None)


def test_positions_wait_until_the_dead_letters_have_arrived(
    broker: MemoryBroker, store: MemoryStore
) -> None:
    broker.sink().send("likes", b"not an event")
    broker.fail_with(OUTAGE, OUTAGE, on="deliver")
    positions_meanwhile = []
    stats = consume(
        broker, store, on_wait=lambda: positions_meanwhile.extend(store.positions([P0]))
    )
    assert set(positions_meanwhile) == {0}
    assert stats.retries == sum(stats.server_errors.values()) == 2
    assert store.positions([P0]) == [1]
    assert len(broker.records(TOPICS.dead_letters)) == 3, "at least once: never too few"


def test_a_record_too_large_for_the_dead_letters_goes_without_its_value(
    store: MemoryStore,
) -> None:
    broker = MemoryBroker()
    specs = {spec.name: spec for spec in TOPICS.specs(1)}
    letters = specs[TOPICS.dead_letters]._replace(config={"max.message.bytes": "1000"})
    broker.ensure_topics([specs[TOPICS.likes], letters])
    broker.sink().send("likes", b"x" * 5_000, key=b"ann")
    publish(broker, Like(ANN, A))
    consume(broker, store)
    [letter] = [decode_dead_letter(record) for record in broker.records(TOPICS.dead_letters)]
    assert (letter.code, letter.value, letter.truncated_bytes) == ("not_json", None, 5_000)
    assert letter.key == b"ann"
    assert store.likes([ANN]) == [{A}]


def test_while_the_store_is_unavailable_nothing_is_committed_and_nothing_lost(
    broker: MemoryBroker, store: MemoryStore
) -> None:
    publish(broker, Like(ANN, A))
    consume(broker, store)
    publish(broker, Like(ANN, B))
    store.failure = OUTAGE
    waits = []

    def wait() -> None:
        waits.append(broker.committed(GROUP, [P0])[P0])
        if len(waits) == 5:
            store.failure = None

    stats = consume(broker, store, on_wait=wait)
    assert set(waits) == {1}
    assert stats.retries >= 2
    assert store.likes([ANN]) == [{A, B}]
    assert broker.committed(GROUP, [P0]) == {P0: 2}


def test_a_broker_that_cannot_be_reached_is_waited_for(
    broker: MemoryBroker, store: MemoryStore
) -> None:
    publish(broker, Like(ANN, A))
    broker.fail_with(OUTAGE, OUTAGE, OUTAGE, on="ask")
    broker.fail_with(OUTAGE, OUTAGE, on="poll")
    stats = consume(broker, store)
    assert store.likes([ANN]) == [{A}]
    assert stats.retries >= 2


def test_one_commit_serves_many_batches(
    broker: MemoryBroker, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits: list[int] = []
    commit = MemorySource.commit

    def noted(self: MemorySource, next_offsets: Mapping[TopicPartition, int]) -> None:
        commits.append(next_offsets[P0])
        commit(self, next_offsets)

    monkeypatch.setattr(MemorySource, "commit", noted)
    publish(broker, *[Like(ANN, A)] * 300)
    began_s = time.monotonic()
    stats = consume(broker, store, max_records=1)
    assert stats.batches == 300
    assert commits[-1] == 300
    assert len(commits) <= 3 + (time.monotonic() - began_s) / COMMIT_EVERY_S


def test_a_member_commits_what_others_have_applied_of_its_partitions(
    broker: MemoryBroker, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(broker, Like(ANN, A), Like(ANN, B))
    with monkeypatch.context() as without_commits:
        without_commits.setattr(MemorySource, "commit", lambda *_: None)
        consume(broker, store)
    assert broker.committed(GROUP, [P0]) == {P0: None}
    consume(broker, store, until=lambda: broker.committed(GROUP, [P0]) == {P0: 2})


def test_the_next_commit_makes_up_for_a_failed_one(
    broker: MemoryBroker, store: MemoryStore
) -> None:
    publish(broker, Like(ANN, A), Like(ANN, B))
    broker.fail_with(OUTAGE, on="commit")
    consume(broker, store, max_records=1)
    assert store.likes([ANN]) == [{A, B}]
    assert broker.committed(GROUP, [P0]) == {P0: 2}


def test_a_stop_during_an_outage_leaves_the_batch_to_the_next_member(
    broker: MemoryBroker, store: MemoryStore
) -> None:
    consume(broker, store)
    publish(broker, Like(ANN, A))
    store.failure = OUTAGE
    stopped = threading.Event()
    consume(broker, store, until=stopped.is_set, on_wait=stopped.set)
    store.failure = None
    assert broker.committed(GROUP, [P0]) == {P0: 0}
    assert store.positions([P0]) == [0]
    consume(broker, store)
    assert store.likes([ANN]) == [{A}]


@pytest.mark.parametrize("fatal", [SettingsError("wrong password"), ForeignDataError("odd key")])
def test_an_error_that_no_retry_can_fix_ends_the_worker_without_a_commit(
    broker: MemoryBroker, store: MemoryStore, fatal: LikewiseError
) -> None:
    consume(broker, store)
    publish(broker, Like(ANN, A))
    store.failure = fatal
    with pytest.raises(type(fatal)):
        consume(broker, store, until=lambda: False)
    store.failure = None
    assert broker.committed(GROUP, [P0]) == {P0: 0}
    consume(broker, store)
    assert store.likes([ANN]) == [{A}]


def test_an_empty_redis_is_filled_from_the_log_whatever_was_committed(
    broker: MemoryBroker, store: MemoryStore
) -> None:
    publish(broker, Like(ANN, A), Like(ANN, B))
    consume(broker, store)
    assert broker.committed(GROUP, [P0]) == {P0: 2}
    empty = MemoryStore()
    consume(broker, empty)
    assert empty.likes([ANN]) == [{A, B}]


def test_a_redis_restored_from_a_backup_catches_up_from_where_it_is(
    broker: MemoryBroker, store: MemoryStore
) -> None:
    publish(broker, Like(ANN, A), Like(ANN, B), Like(ANN, C))
    consume(broker, store)
    backup = MemoryStore()
    backup.apply(Changes(users={ANN: UserChange(add={A})}), {P0: Advance(None, 1)})
    stats = consume(broker, backup)
    assert backup.likes([ANN]) == [{A, B, C}]
    assert stats.events_applied == 2


@pytest.mark.parametrize("more", [[], [Like(ANN, C)]])
def test_a_redis_that_loses_its_last_writes_meanwhile_is_caught_up(
    broker: MemoryBroker, store: MemoryStore, more: list[Event]
) -> None:
    publish(broker, Like(ANN, A), Like(ANN, B))
    lost: list[ItemId] = []

    def done() -> bool:
        if caught_up(broker, store, TOPICS.likes) and not lost:
            store.apply(Changes(users={ANN: UserChange(remove={B})}), {P0: Advance(2, 1)})
            lost.append(B)
            publish(broker, *more)
        return caught_up(broker, store, TOPICS.likes)

    consume(broker, store, until=done)
    assert store.likes([ANN]) == [{A, B} | ({C} if more else set())]
    assert store.positions([P0]) == [2 + len(more)]


def test_a_batch_that_another_member_has_applied_is_not_applied_over_what_followed(
    broker: MemoryBroker, store: MemoryStore
) -> None:
    """A zombie: it holds a like, while the partition's new owner is past the unlike."""
    publish(broker, Like(ANN, A))
    consume(broker, store)
    publish(broker, Like(ANN, B))

    def apply_elsewhere() -> None:
        if store.failure is not None:
            store.failure = None
            publish(broker, Unlike(ANN, B))
            store.apply(Changes(users={ANN: UserChange(remove={B})}), {P0: Advance(1, 3)})

    zombie = OutageOnApply(store, at_position=1)
    stats = consume(broker, zombie, on_wait=apply_elsewhere)
    assert zombie.failed
    assert store.likes([ANN]) == [{A}]
    assert store.positions([P0]) == [3]
    assert stats.events_applied == 0


def test_events_delivered_again_after_a_rebalance_are_not_applied_again(
    broker: MemoryBroker, store: MemoryStore
) -> None:
    publish(broker, Like(ANN, A), Like(ANN, B))
    broker.fail_with(OUTAGE, on="commit")
    rebalanced: list[bool] = []

    def done() -> bool:
        if caught_up(broker, store, TOPICS.likes) and not rebalanced:
            passer_by = broker.source(GROUP, [TOPICS.likes], max_records=1)
            passer_by.keep_alive()
            passer_by.close()
            rebalanced.append(True)
            publish(broker, Like(ANN, C))
        return caught_up(broker, store, TOPICS.likes)

    stats = consume(broker, store, until=done)
    assert store.likes([ANN]) == [{A, B, C}]
    assert stats.events_applied == 3


def test_a_partition_that_the_group_gave_to_nobody_is_read_after_rejoining(
    store: MemoryStore,
) -> None:
    broker = broker_with(partitions=2)
    publish(broker, *islice(random_events(3), 50))
    stats = ConsumerStats()
    lost: list[TopicPartition] = []

    def done() -> bool:
        if caught_up(broker, store, TOPICS.likes) and not lost:
            lost.append(P0)
            broker.unassign(GROUP, P0)
            publish(broker, *islice(random_events(4), 50))
        return caught_up(broker, store, TOPICS.likes)

    ConsumerWorker(settings(), broker, store, StopWhen(done), stats=stats, patience_s=0.0).run()
    assert lost
    assert stats.rejoins >= 1
    assert store.positions([P0]) == [broker.end_offsets([P0])[P0]]


def test_a_consumer_without_a_share_is_ready(broker: MemoryBroker, store: MemoryStore) -> None:
    other = broker.source(GROUP, [TOPICS.likes], max_records=1)
    other.keep_alive()
    stats = ConsumerStats()
    assert not stats.heartbeat.ready

    def ready() -> bool:
        other.keep_alive()
        return stats.heartbeat.ready

    run_consumer(settings(), broker, store, StopWhen(ready), stats=stats)
    assert other.assignment() == {P0}


def test_a_rebalance_right_after_lost_writes_passes_over_no_event(
    broker: MemoryBroker, store: MemoryStore
) -> None:
    publish(broker, Like(ANN, A), Like(ANN, B))
    consume(broker, store)
    assert broker.committed(GROUP, [P0]) == {P0: 2}
    emptied, looks = MemoryStore(), itertools.count()

    def done() -> bool:
        if next(looks) == 1:  # by now the beginning was sought but not read
            passer_by = broker.source(GROUP, [TOPICS.likes], max_records=1)
            passer_by.keep_alive()
            passer_by.close()
            publish(broker, Like(ANN, C))
        return caught_up(broker, emptied, TOPICS.likes)

    consume(broker, emptied, until=done)
    assert emptied.likes([ANN]) == [{A, B, C}]


def test_a_recreated_topic_is_read_from_its_beginning(
    broker: MemoryBroker, store: MemoryStore
) -> None:
    store.apply(Changes(users={ANN: UserChange(add={A})}), {P0: Advance(None, 1_000)})
    publish(broker, Like(ANN, B))
    consume(broker, store)
    assert store.likes([ANN]) == [{A, B}]
    assert store.positions([P0]) == [1]


def test_a_recreated_topic_is_recognized_however_long_it_is(
    broker: MemoryBroker, store: MemoryStore
) -> None:
    publish(broker, Like(ANN, A))
    consume(broker, store)
    broker.recreate_topic(TOPICS.likes)
    publish(broker, *[Like(ANN, B)] * 3, Unlike(ANN, A))
    assert consume(broker, store).log_breaks == Counter(remade=1)
    assert store.likes([ANN]) == [{B}]
    assert store.positions([P0]) == [4]


@pytest.mark.parametrize("events", [1, 5])
def test_a_topic_recreated_under_a_running_consumer_is_read_from_its_beginning(
    broker: MemoryBroker, store: MemoryStore, events: int
) -> None:
    publish(broker, Like(ANN, A), Like(ANN, B))
    remade: list[str] = []

    def done() -> bool:
        if not remade and caught_up(broker, store, TOPICS.likes):
            remade.append(TOPICS.likes)
            broker.recreate_topic(TOPICS.likes)
            publish(broker, *[Like(ANN, ItemId(f"new {number}")) for number in range(events)])
            return False
        return len(store.likes([ANN])[0]) == 2 + events

    ConsumerWorker(settings(), broker, store, StopWhen(done), patience_s=0.0).run()
    assert store.positions([P0]) == [events]


def test_a_topic_that_is_missing_while_its_partitions_resume_is_waited_for(
    broker: MemoryBroker, store: MemoryStore
) -> None:
    publish(broker, Like(ANN, A))
    stats = ConsumerStats()
    stop = StopWhen(lambda: store.positions([P0]) == [1])
    worker = ConsumerWorker(settings(), broker, store, stop, stats=stats)
    waits: list[bool] = []
    broker.end_offsets = partial(failing_once, broker.end_offsets, waits)  # type: ignore[method-assign]
    worker.run()
    assert waits
    assert stats.retries == 1
    assert store.likes([ANN]) == [{A}]


def failing_once(ask: Callable[..., Any], failed: list[bool], *asked: Any) -> Any:
    """Call `ask`; the first call fails as if the topic was just deleted."""
    if not failed:
        failed.append(True)
        raise UndeliverableError("there is no such topic")
    return ask(*asked)


def test_events_that_retention_removed_are_skipped(
    broker: MemoryBroker, store: MemoryStore
) -> None:
    publish(broker, Like(ANN, A), Like(ANN, B), Like(ANN, C))
    store.apply(Changes(users={ANN: UserChange(add={A})}), {P0: Advance(None, 1)})
    broker.delete_records(P0, before=2)
    stats = consume(broker, store)
    assert stats.log_breaks == Counter(retention=1)
    assert store.likes([ANN]) == [{A, C}]
    assert store.positions([P0]) == [3]


def test_a_missing_topic_that_must_not_be_created_is_a_settings_error(store: MemoryStore) -> None:
    kafka = KafkaSettings(create_topics=False)
    with pytest.raises(SettingsError, match=r"no topic likes and .*LIKEWISE_KAFKA_CREATE_TOPICS"):
        run_consumer(Settings(kafka=kafka), MemoryBroker(), store, threading.Event())


@pytest.mark.parametrize(
    ("stored", "beginning", "end", "start", "is_broken"),
    [
        (None, 0, 0, 0, False),
        (None, 7, 9, 7, True),
        (7, 0, 9, 7, False),
        (0, 0, 9, 0, False),
        (9, 0, 9, 9, False),
        (9, 9, 9, 9, False),
        (10, 0, 9, 0, True),
        (10, 3, 9, 3, True),
        (2, 3, 9, 3, True),
    ],
)
def test_a_partition_resumes_at_the_position_in_redis_unless_the_log_has_nothing_there(
    stored: int | None, beginning: int, end: int, start: int, is_broken: bool
) -> None:
    chosen = choose_resume_point(Extent(stored, stored), beginning, end)
    assert chosen.offset == start
    assert (chosen.log_break is not None) == is_broken


@pytest.mark.parametrize(
    ("lowest", "furthest", "same_up_to", "start", "is_broken"),
    [(3, 7, None, 3, False), (None, 7, None, 0, False), (3, 8, 5, 3, True), (3, 12, None, 0, True)],
)
def test_a_part_of_the_store_that_is_ahead_shows_what_the_log_has_lost(
    lowest: int | None, furthest: int, same_up_to: int | None, start: int, is_broken: bool
) -> None:
    chosen = choose_resume_point(Extent(lowest, furthest), 0, 9, same_up_to=same_up_to)
    assert chosen.offset == start
    assert (chosen.log_break is not None) == is_broken


def test_a_break_in_the_log_is_logged_with_the_offsets_that_show_what_is_lost(
    broker: MemoryBroker, store: MemoryStore
) -> None:
    publish(broker, *islice(random_events(3), 9))
    store.apply(Changes(), {P0: Advance(None, 2)})
    broker.delete_records(P0, before=5)
    with capture_logs() as logs:
        consume(broker, store)
    (line,) = [line for line in logs if line["log_level"] == "error"]
    assert line["event"].startswith("retention removed events that were not applied yet")
    assert (line["topic"], line["partition"]) == P0
    assert (line["applied"], line["beginning"], line["end"], line["resume_at"]) == (2, 5, 9, 5)


def test_a_rebuild_from_a_log_that_was_cut_is_counted_and_names_how_much_is_gone(
    broker: MemoryBroker, store: MemoryStore
) -> None:
    publish(broker, *islice(random_events(3), 50))
    broker.delete_records(P0, 30)
    with capture_logs() as logs:
        stats = consume(broker, store)
    assert stats.log_breaks == {"remade": 0, "retention": 1, "truncated": 0}
    assert 30 in [line["beginning"] for line in logs if line["log_level"] == "error"]
    status = kafka_status(Settings(), broker, store)
    assert (status.gone, status.not_applied) == (30, 0)


@pytest.mark.parametrize(("restarted", "regrown"), [(True, 0), (True, 15), (True, 60), (False, 60)])
def test_a_log_that_lost_its_tail_is_read_again_from_there(
    broker: MemoryBroker, store: MemoryStore, restarted: bool, regrown: int
) -> None:
    events = list(islice(random_events(8), 40 + regrown))
    publish(broker, *events[:40])
    losses = iter([25])

    def caught_up_again() -> bool:
        if not caught_up(broker, store, TOPICS.likes):
            return False
        for end in losses:  # once
            broker.lose_tail(P0, end)
            publish(broker, *events[40:])
            return restarted
        return True

    stats = consume(broker, store, until=caught_up_again)
    if restarted:
        assert not stats.log_breaks["truncated"]
        turns = itertools.count()
        stats = consume(broker, store, until=lambda: next(turns) > 5 and caught_up_again())
    assert stats.log_breaks["truncated"] == 1
    touched = {event_key(event) for event in events[25:40]}  # what the lost ones said stays
    for user, items in outcome_of([*events[:25], *events[40:]]).items():
        if user.encode() not in touched:
            assert store.likes([user]) == [items]


def test_two_members_share_the_work_and_the_second_continues_where_the_first_left(
    store: MemoryStore,
) -> None:
    broker = broker_with(partitions=4)
    events = list(islice(random_events(2), 2_000))
    publish(broker, *events[:1_000])
    stop = threading.Event()
    members = [
        threading.Thread(target=run_consumer, args=[settings(32), broker, store, stop])
        for _ in range(2)
    ]
    for member in members:
        member.start()
    publish(broker, *events[1_000:])
    consume(broker, store, max_records=32)
    stop.set()
    for member in members:
        member.join(10.0)
        assert not member.is_alive()
    assert outcome_in(store) == outcome_of(events)


@pytest.mark.parametrize("seed", range(20))
def test_crashes_and_lost_writes_at_any_instant_change_nothing(seed: int) -> None:
    broker = broker_with(partitions=3)
    store = MistreatedStore(random.Random(seed))
    events = list(islice(random_events(seed), 600))
    published = 0
    for _ in range(200):
        publish(broker, *events[published : published + 50])
        published += 50
        try:
            consume(broker, store, max_records=16)
        except CrashError:
            continue
        if published >= len(events):
            break
    store.spare()
    consume(broker, store)
    assert store.crashes >= 3
    assert outcome_in(store) == outcome_of(events)


class CrashError(Exception):
    """The end of a process, simulated in a thread."""


class MistreatedStore(MemoryStore):
    """Ends its caller before or after a batch, and now and then loses its last writes."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self.crashes = 0
        self._rng: random.Random | None = rng
        self._backup = self._state()

    def spare(self) -> None:
        self._rng = None

    def apply(self, changes: Changes, advances: Mapping[TopicPartition, Advance]) -> None:
        chance = 1.0 if self._rng is None else self._rng.random()
        if chance < 0.10:
            self._crash()
        super().apply(changes, advances)
        if chance < 0.20:
            self._crash()
        if chance < 0.25:
            vars(self).update(copy.deepcopy(self._backup))
        if chance < 0.40:
            self._backup = self._state()

    def _state(self) -> dict[str, Any]:
        kept = ("_likes", "_positions", "_homes", "_scattered", "_times")
        return copy.deepcopy({name: getattr(self, name) for name in kept})

    def _crash(self) -> None:
        self.crashes += 1
        raise CrashError


class OutageOnApply(MemoryStore):
    """The same store as another, seen over a connection that fails once, at one position."""

    def __init__(self, store: MemoryStore, *, at_position: int) -> None:
        super().__init__()
        self.failed = False
        self._store = store
        self._at_position = at_position

    def positions(self, partitions: Sequence[TopicPartition]) -> list[int | None]:
        return self._store.positions(partitions)

    def homes(self, partitioner: Partitioner, partitions: int) -> Homes:
        return self._store.homes(partitioner, partitions)

    def apply(self, changes: Changes, advances: Mapping[TopicPartition, Advance]) -> None:
        if not self.failed and advances[P0].expected == self._at_position:
            self.failed = True
            self._store.failure = OUTAGE
        self._store.apply(changes, advances)


def broker_with(partitions: int) -> MemoryBroker:
    broker = MemoryBroker()
    broker.ensure_topics(TOPICS.specs(partitions))
    return broker


def publish(broker: MemoryBroker, *events: Event) -> None:
    sink = broker.sink()
    for event in events:
        sink.send("likes", encode_event(event), key=event_key(event))


def settings(max_records: int = 500) -> Settings:
    return Settings(
        kafka=KafkaSettings(partitions=1),
        consumer=ConsumerSettings(max_records=max_records, poll_timeout_ms=1),
    )


def consume(
    broker: MemoryBroker,
    store: MemoryStore,
    *,
    max_records: int = 500,
    until: Callable[[], bool] | None = None,
    on_wait: Callable[[], object] = lambda: None,
) -> ConsumerStats:
    """Run a consumer until everything published is applied, or until something else."""
    stats = ConsumerStats()

    def done() -> bool:
        try:
            return caught_up(broker, store, TOPICS.likes)
        except TransientError:
            return False

    run_consumer(
        settings(max_records), broker, store, StopWhen(until or done, on_wait), stats=stats
    )
    return stats
