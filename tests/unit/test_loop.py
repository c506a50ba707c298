"""What the loops of all workers share: failed calls are counted, a stalled group is rejoined."""

from __future__ import annotations

import itertools
import threading
from functools import partial

import pytest

from likewise.errors import TransientError
from likewise.log.topics import Topics
from likewise.records import TopicPartition
from likewise.retry import StoppedError
from likewise.service.loop import GroupMember, Retrier
from likewise.service.stall_detector import StallDetector
from likewise.service.stats import MemberStats, WorkerStats
from likewise.service.store_watch import StoreWatch
from likewise.store.port import Eviction
from likewise.testing import MemoryBroker, MemoryStore

P0 = TopicPartition("likes", 0)
STOPPED = threading.Event()
STOPPED.set()


def test_a_call_is_retried_until_it_succeeds_and_each_failure_is_counted_by_server() -> None:
    stats = WorkerStats()
    failures = [TransientError("no route").of("kafka"), TransientError("loading").of("redis")]

    def attempt() -> int:
        if failures:
            raise failures.pop()
        return 7

    assert Retrier(stats, threading.Event(), longest_s=0.001)(attempt) == 7
    assert (stats.retries, stats.server_errors) == (2, {"kafka": 1, "redis": 1})
    assert not stats.heartbeat.ready


def test_a_stop_ends_the_retries() -> None:
    stats = WorkerStats()

    def attempt() -> None:
        raise TransientError("no route")

    with pytest.raises(StoppedError):
        Retrier(stats, STOPPED)(attempt)
    assert stats.retries == 1


@pytest.mark.parametrize(("policy", "ready"), [("noeviction", True), ("allkeys-lru", False)])
def test_a_member_is_ready_while_its_store_evicts_nothing(policy: str, ready: bool) -> None:
    store = MemoryStore()
    store.evicting = Eviction(policy, 0)
    member, stats = member_of(broker_with_events(), store)
    member.beat()
    assert stats.heartbeat.ready == ready
    assert stats.keeping.sound == ready


def test_a_stalled_group_is_rejoined_and_counted_unless_the_worker_knows_the_reason() -> None:
    member, stats = member_of(broker_with_events(), MemoryStore())
    for _ in range(100):
        member.rejoin_if_stalled(known={P0})
    assert stats.rejoins == 0
    for _ in range(100):
        member.rejoin_if_stalled()
    assert stats.rejoins >= 1


def broker_with_events() -> MemoryBroker:
    broker = MemoryBroker()
    broker.ensure_topics(Topics().specs(1))
    broker.sink().send("likes", b"an event that nobody reads")
    return broker


def member_of(broker: MemoryBroker, store: MemoryStore) -> tuple[GroupMember, MemberStats]:
    """Return a member of the likes topic's group, whose clock advances with every look at it."""
    stats = MemberStats()
    source = broker.source("consumers", ["likes"], max_records=1)
    source.keep_alive()
    detector = StallDetector(
        broker,
        ("likes",),
        store.positions,
        patience_s=1.0,
        clock_s=partial(next, itertools.count(0.0)),
    )
    watch = StoreWatch(store, stats.keeping)
    return GroupMember(source, detector, watch, stats, threading.Event()), stats
