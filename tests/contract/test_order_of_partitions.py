"""The order of events on several partitions: every interleaving gives the sets that the rule defines.

Several consumers apply a log in which users' events are in any partition, with any timestamps. Before
and after every call of the store another consumer may work, or the caller may crash.
"""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consumers.batches import by_partition, decode
from consumers.ordering import Ordering
from consumers.recent import Recent
from consumers.scattering import Scattering
from consumers.stats import ConsumerStats
from likewise.errors import PositionMovedError
from likewise.log.topics import TopicSpec
from likewise.messages.events import (
    ForgetUser,
    Like,
    MergeUsers,
    RestoreItem,
    RetireItem,
    Signal,
    Unlike,
    Unsignal,
    encode_event,
)
from likewise.messages.ids import DISLIKE, ItemId, SignalKind, UserId
from likewise.operations.verification import Verifier
from likewise.records import TopicPartition
from likewise.settings import RedisSettings, Settings
from likewise.store.port import Advance
from likewise.store.redis import RedisStore
from likewise.testing import MemoryBroker, MemoryStore
from tests.contract.unsteady_cluster import Crash, UnsteadyCluster
from tests.ordering import Log, Outcome, outcome_of_log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from likewise.messages.events import Event
    from likewise.store.port import LikeStore

TOPIC = "likes"
PARTITIONS = 3
CRASH_SHARE, OTHERS_SHARE = 0.03, 0.25
names = itertools.count()

users = st.sampled_from([UserId(f"u{number}") for number in range(3)])
items = st.sampled_from([ItemId(f"i{number}") for number in range(3)])
kinds = st.sampled_from([DISLIKE, SignalKind("buy")])
KINDS = frozenset({"dislike", "hide", "buy"})


def events_of(users: st.SearchStrategy[UserId]) -> list[st.SearchStrategy[Event]]:
    """Return strategies of events, the first of which only add."""
    return [
        st.builds(Like, users, items),
        st.builds(Signal, users, items, kinds),
        st.builds(Unlike, users, items),
        st.builds(Unsignal, users, items, kinds),
        st.builds(ForgetUser, users),
    ]


def logs_of(*events: st.SearchStrategy[Event]) -> st.SearchStrategy[Log]:
    """Return logs with these events, by partition, at any times."""
    parts = [st.lists(st.tuples(st.integers(0, 12), one), max_size=12) for one in events]
    return st.tuples(*parts).map(lambda lists: dict(enumerate(lists)))


def guest_of(partition: int) -> st.SearchStrategy[UserId]:
    """Return the guest whose events are all in this partition."""
    return st.just(UserId(f"guest {partition}"))


def with_merges(partition: int) -> st.SearchStrategy[Event]:
    guest = guest_of(partition)
    merges = st.builds(MergeUsers, guest, users)
    return st.one_of(*events_of(users), *events_of(guest), merges, merges)


def with_chains(partition: int) -> st.SearchStrategy[Event]:
    """Return events of accounts, what a guest adds, and merges into an account or the next guest."""
    guest, next_guest = guest_of(partition), guest_of(partition + 1)
    own = st.just(ItemId(f"item of guest {partition}"))
    into = users if partition == PARTITIONS - 1 else users | next_guest
    added = st.builds(Like, guest, own) | st.builds(Signal, guest, own, kinds)
    return st.one_of(*events_of(users), added, st.builds(MergeUsers, guest, into))


def with_one_merge_each(log: Log) -> Log:
    """Return the log with only the first merge of each partition's guest."""
    for events in log.values():
        merges = [one for one in events if isinstance(one[1], MergeUsers)]
        events[:] = [one for one in events if one in merges[:1] or one not in merges]
    return log


any_event = st.one_of(
    *events_of(users), st.builds(RetireItem, items), st.builds(RestoreItem, items)
)
logs_without_chains = st.one_of(
    logs_of(*[any_event] * PARTITIONS), logs_of(*map(with_merges, range(PARTITIONS)))
)
logs = st.one_of(
    logs_without_chains,
    logs_of(*map(with_chains, range(PARTITIONS))).map(with_one_merge_each),
)


class Unsteady:
    """A store with `disturb` before and after each call."""

    def __init__(self, store: LikeStore, disturb: Callable[[], None]) -> None:
        self._store = store
        self._disturb = disturb

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)

        def call(*arguments: Any) -> Any:
            self._disturb()
            result = method(*arguments)
            self._disturb()
            return result

        return call


class Consumer:
    """Applies one partition, batch by batch; after a crash another consumer gets the partition."""

    def __init__(self, run: Run, partition: int) -> None:
        self.run = run
        self.partition = TopicPartition(TOPIC, partition)
        self.busy = False
        self._restart()

    def work(self) -> None:
        """Apply the next batch, or crash."""
        self.busy = True
        try:
            self._apply(self.run.rng.randint(1, 4))
            self._check()
        except (Crash, PositionMovedError):
            self._restart()
        finally:
            self.busy = False

    def _restart(self) -> None:
        self._store = self.run.new_store()
        store: Any = Unsteady(self._store, self.run.disturb)
        stats = ConsumerStats()
        scattering = Scattering(self.run.broker, store, TOPIC, "murmur2", stats, KINDS)
        self._ordering = Ordering(store, scattering, Recent(Settings(), store, stats))
        [extent] = self._store.extents([self.partition], resume=True)
        self._at = extent.lowest

    def _apply(self, count: int) -> None:
        at = self._at or 0
        records = self.run.broker.cluster.logs[self.partition].records[at : at + count]
        if records:
            step = Advance(self._at, at + len(records))
            self._ordering.apply(decode(by_partition(records), KINDS).parts, {self.partition: step})
            self._at = step.next

    def _check(self) -> None:
        """Do what an idle consumer does."""
        if self._at is None:
            return
        self._store.level({self.partition: self._at})
        [extent] = self._store.extents([self.partition])
        if extent.lowest != self._at:
            raise PositionMovedError({self.partition: extent.lowest})


class Run:
    """Consumers at work on one log and one store."""

    def __init__(
        self, log: Log, rng: random.Random, store: LikeStore, cluster: UnsteadyCluster | None = None
    ) -> None:
        self.rng = rng
        self.broker = broker_of(log)
        self.store = store
        self.steady = False
        self._cluster = cluster
        self._consumers: list[Consumer] = []
        self._consumers = [Consumer(self, number) for number in range(PARTITIONS)]

    def new_store(self) -> LikeStore:
        return self.store if self._cluster is None else self._cluster.store()

    def disturb(self) -> None:
        if self.steady:
            return
        if self._cluster is not None:
            self._cluster.disturb()
        idle = [consumer for consumer in self._consumers if not consumer.busy]
        if idle and self.rng.random() < OTHERS_SHARE:
            self.rng.choice(idle).work()
        if self.rng.random() < CRASH_SHARE:
            raise Crash

    def to_the_end(self) -> None:
        partitions = self.broker.partitions(TOPIC)
        ends = [*self.broker.end_offsets(partitions).values()]
        for turn in itertools.count():
            self.steady = turn > 200  # bounds the run: enough crashes happened by then
            if self._cluster is not None:
                self._cluster.steady = self.steady
            extents = self.store.extents(partitions)
            if [extent.lowest or 0 for extent in extents] == ends:
                return
            self.rng.choice(self._consumers).work()


@settings(max_examples=200)
@given(logs, st.integers(0, 2**32))
def test_in_memory_the_outcome_is_that_of_the_merged_partitions(log: Log, seed: int) -> None:
    check(log, Run(log, random.Random(seed), MemoryStore()))


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(logs, st.integers(0, 2**32))
def test_in_redis_the_outcome_is_that_of_the_merged_partitions(
    redis_url: str, prefix: str, log: Log, seed: int
) -> None:
    store = RedisStore(RedisSettings(url=redis_url, key_prefix=f"{prefix}{next(names)}."))
    try:
        check(log, Run(log, random.Random(seed), store))
    finally:
        store.close()


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(logs_without_chains, st.integers(0, 2**32))
@pytest.mark.parametrize("losses", [False, True])
def test_on_a_cluster_the_outcome_is_that_of_the_merged_partitions(
    cluster_url: str, prefix: str, losses: bool, log: Log, seed: int
) -> None:
    rng = random.Random(seed)
    cluster = UnsteadyCluster(cluster_url, f"{prefix}{next(names)}.", rng, losses=losses)
    try:
        check(log, Run(log, rng, cluster.store(), cluster))
    finally:
        cluster.close()


def check(log: Log, run: Run) -> None:
    run.to_the_end()
    assert outcome_in(run.store) == outcome_of_log(log)
    found = Verifier(run.broker, run.store, TOPIC, kinds=KINDS).run(lambda _read, _total: None)
    assert found.equal, found
    assert not found.differences, found


def outcome_in(store: LikeStore) -> Outcome:
    users = sorted({user for some in store.scan_users(100) for user in some})
    signals = {}
    for kind in store.kinds():
        own = sorted({user for some in store.scan_users_of(kind, 100) for user in some})
        found = store.signals(own, [kind])
        if own:
            signals[kind] = {user: set(one[kind]) for user, one in zip(own, found, strict=True)}
    return Outcome(dict(zip(users, store.likes(users), strict=True)), signals, store.retired()[1])


def broker_of(log: Log) -> MemoryBroker:
    """Return a broker that holds these events in these partitions, with these timestamps."""
    times: Iterator[int] = iter([time_ms for events in log.values() for time_ms, _ in events])
    broker = MemoryBroker(clock_ms=lambda: next(times))
    broker.ensure_topics([TopicSpec(TOPIC, PARTITIONS, {})])
    sink = broker.sink()
    for partition, events in log.items():
        for _, event in events:
            sink.send(TOPIC, encode_event(event), partition=partition)
    return broker
