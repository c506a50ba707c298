from __future__ import annotations

import threading
import time

import pytest

from indexer.leader import LEASE, Leadership, LeadershipLostError
from likewise.errors import TransientError
from likewise.testing import MemoryStore

TTL_MS = 30_000


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


class SlowStore(MemoryStore):
    """Takes its time to answer."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock_s=clock)
        self.clock = clock
        self.answers_after_s = 0.0

    def acquire_lease(self, name: str, holder: str, ttl_ms: int) -> bool:
        held = super().acquire_lease(name, holder, ttl_ms)
        self.clock.now_s += self.answers_after_s
        return held


class CountingStore(MemoryStore):
    """Lets a test wait for the next time somebody asks for a lease."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = threading.Semaphore(0)

    def acquire_lease(self, name: str, holder: str, ttl_ms: int) -> bool:
        held = super().acquire_lease(name, holder, ttl_ms)
        self.asked.release()
        return held


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> SlowStore:
    return SlowStore(clock)


def leadership(store: MemoryStore, clock: Clock, holder: str = "one") -> Leadership:
    return Leadership(store, holder=holder, ttl_ms=TTL_MS, clock_s=clock)


def test_one_leads_and_the_other_waits_until_the_lease_lapses(
    store: SlowStore, clock: Clock
) -> None:
    one, other = leadership(store, clock, "one"), leadership(store, clock, "other")
    assert one.term is None
    assert one.lead() is not None
    assert other.lead() is None
    clock.now_s += TTL_MS / 1000
    assert one.term is None
    assert other.lead() is not None
    assert one.lead() is None


def test_a_renewed_lease_continues_the_term(store: SlowStore, clock: Clock) -> None:
    one = leadership(store, clock)
    term = one.lead()
    for _ in range(5):
        clock.now_s += TTL_MS / 1000 - 1
        assert one.lead() == term


def test_a_lease_that_lapsed_and_was_taken_again_is_another_term(
    store: SlowStore, clock: Clock
) -> None:
    one = leadership(store, clock)
    term = one.lead()
    assert term is not None
    clock.now_s += TTL_MS / 1000
    assert one.lead() not in {term, None}
    with pytest.raises(LeadershipLostError):
        one.check(term)


def test_the_lease_counts_from_before_the_store_was_asked(store: SlowStore, clock: Clock) -> None:
    one = leadership(store, clock)
    store.answers_after_s = TTL_MS / 1000
    assert one.lead() is None, "the store may have let it lapse already"


def test_a_renewal_that_was_answered_too_late_is_another_term(
    store: SlowStore, clock: Clock
) -> None:
    one = leadership(store, clock)
    term = one.lead()
    clock.now_s += TTL_MS / 1000 - 1
    store.answers_after_s = 2.0
    assert one.lead() not in {term, None}


def test_a_store_out_of_reach_ends_the_lead_when_the_lease_has_lapsed_and_not_before(
    store: SlowStore, clock: Clock
) -> None:
    one = leadership(store, clock)
    term = one.lead()
    store.failure = TransientError("out of reach")
    with pytest.raises(TransientError):
        one.lead()
    assert one.term == term
    clock.now_s += TTL_MS / 1000
    assert one.term is None


def test_the_lease_is_renewed_meanwhile_and_given_back_at_the_end() -> None:
    store = CountingStore()
    one = Leadership(store, holder="one", ttl_ms=500, clock_s=time.monotonic)
    with one.kept():
        term = one.lead()
        assert term is not None
        for _ in range(6):  # two lifetimes
            assert store.asked.acquire(timeout=10)
        assert one.term == term
        assert not store.acquire_lease(LEASE, "other", 500)
    assert one.term is None
    assert store.acquire_lease(LEASE, "other", 500)


def test_leaving_never_takes_the_lease_of_another(store: SlowStore, clock: Clock) -> None:
    one, other = leadership(store, clock, "one"), leadership(store, clock, "other")
    with one.kept():
        one.lead()
        clock.now_s += TTL_MS / 1000
        other.lead()
    assert other.term is not None
    assert leadership(store, clock, "third").lead() is None
