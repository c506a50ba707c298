from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.progress import Unwatched
from indexer.snapshot import Snapshots, read_all
from indexer.weighing import Reader
from likewise.errors import TransientError
from likewise.messages.ids import DISLIKE, ItemId, SignalKind, UserId
from likewise.store.port import Changes, UserChange
from likewise.store.signals_port import SetChange
from likewise.testing import MemoryStore
from tests.tables import assert_identical

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from indexer.interactions import Interactions
    from indexer.snapshot import Snapshot

BUY, VIEW = SignalKind("buy"), SignalKind("view")
WEIGHTS = {BUY: 3.0, VIEW: 0.25}
ANN, BOB, CLEO = UserId("ann"), UserId("bob"), UserId("cleo")
X, Y, Z = ItemId("x"), ItemId("y"), ItemId("z")


class WatchedStore(MemoryStore):
    """Notes whose likes are read, and lets things happen while they are."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[UserId] = []
        self.refusals = 0
        self.meanwhile: list[UserId] = []

    def likes(self, users: Sequence[UserId]) -> list[set[ItemId]]:
        if self.refusals:
            self.refusals -= 1
            raise TransientError("out of reach")
        self.read.extend(users)
        found = super().likes(users)
        while self.meanwhile:
            like(self, self.meanwhile.pop(), Z)
        return found


class RepeatingStore(MemoryStore):
    """Comes upon users more than once when it scans, as Redis may."""

    def scan_users(self, chunk: int) -> Iterator[list[UserId]]:
        for users in super().scan_users(chunk):
            yield users + users
            yield users


class Watched(Unwatched):
    """Records its calls."""

    def __init__(self) -> None:
        self.expected: list[int | None] = []
        self.advanced = 0

    def expect(self, users: int | None) -> None:
        self.expected.append(users)

    def advance(self, users: int) -> None:
        self.advanced += users


def like(store: MemoryStore, user: UserId, *items: ItemId) -> None:
    store.apply(Changes(users={user: UserChange(add=set(items))}), {})


def apply(store: MemoryStore, user: UserId, change: UserChange) -> None:
    changes = Changes(users={user: change}, kinds={*(change.signals or ())})
    changes.forgotten_kinds = store.kinds()
    store.apply(changes, {})


def snapshots(
    store: MemoryStore,
    *,
    chunk: int = 2,
    full_every: int = 100,
    weights: dict[SignalKind, float] | None = None,
) -> Snapshots:
    return Snapshots(
        store, chunk=chunk, full_every=full_every, clock_ms=lambda: 1_000, weights=weights
    )


def take(source: Snapshots) -> Snapshot:
    return source.take(Unwatched())


def everything(store: MemoryStore) -> Interactions:
    return read_all(Reader(store, WEIGHTS), chunk=3, progress=Unwatched())


signals = st.none() | st.dictionaries(
    st.sampled_from([BUY, VIEW, DISLIKE]),
    st.builds(SetChange, st.sets(st.sampled_from([X, Y])), st.sets(st.just(Z))),
)
changes = st.builds(
    UserChange,
    forget=st.booleans(),
    add=st.sets(st.sampled_from([X, Y, Z])),
    remove=st.sets(st.sampled_from([ItemId("u"), ItemId("v")])),
    signals=signals,
) | st.builds(UserChange, remove=st.sets(st.sampled_from([X, Y, Z])), signals=signals)
SNAPSHOT = None
steps = st.lists(
    st.just(SNAPSHOT) | st.tuples(st.sampled_from([ANN, BOB, CLEO]), changes), max_size=30
)


@given(steps, st.integers(1, 4), st.integers(1, 3))
def test_a_snapshot_of_what_changed_equals_one_of_everything(
    steps: list[tuple[UserId, UserChange] | None], full_every: int, chunk: int
) -> None:
    store = MemoryStore()
    source = snapshots(store, chunk=chunk, full_every=full_every, weights=WEIGHTS)
    for step in [*steps, SNAPSHOT]:
        if step is SNAPSHOT:
            assert_identical(take(source).interactions, everything(store))
            assert store.changed_count() == 0
        else:
            apply(store, *step)


def test_only_users_that_changed_are_read_again() -> None:
    store = WatchedStore()
    for user in (ANN, BOB, CLEO):
        like(store, user, X)
    source = snapshots(store)
    assert take(source).full
    assert sorted(store.read) == [ANN, BOB, CLEO]
    store.read.clear()
    like(store, BOB, Y)
    second = take(source)
    assert not second.full
    assert second.taken == [BOB]
    assert store.read == [BOB]


def test_one_snapshot_in_so_many_reads_everything() -> None:
    source = snapshots(MemoryStore(), full_every=3)
    assert [take(source).full for _ in range(7)] == [True, False, False, True, False, False, True]


def test_after_forget_the_next_snapshot_reads_everything() -> None:
    source = snapshots(MemoryStore())
    take(source)
    source.forget()
    assert take(source).full


def test_a_failure_loses_no_change() -> None:
    store = WatchedStore()
    like(store, ANN, X)
    source = snapshots(store)
    take(source)
    like(store, BOB, Y)
    store.refusals = 1
    with pytest.raises(TransientError):
        take(source)
    assert store.changed_count() == 0, "the mark is gone, yet the change must not be"
    again = take(source)
    assert again.full
    assert_identical(again.interactions, everything(store))


def test_a_change_that_comes_while_its_user_is_read_is_in_the_next_snapshot() -> None:
    store = WatchedStore()
    like(store, ANN, X)
    store.meanwhile = [ANN]
    source = snapshots(store)
    assert take(source).interactions.item_ids == [X]
    assert store.changed_count() == 1
    assert take(source).interactions.item_ids == [X, Z]


def test_a_user_whom_the_scan_repeats_counts_once() -> None:
    store = RepeatingStore()
    for user in (ANN, BOB, CLEO):
        like(store, user, X)
    assert take(snapshots(store)).interactions.user_ids == [ANN, BOB, CLEO]


def test_reading_everything_leaves_the_marks_of_changed_users_alone() -> None:
    store = MemoryStore()
    like(store, ANN, X)
    everything(store)
    assert store.changed_count() == 1


def test_progress_is_told_how_many_users_there_are_where_that_is_known() -> None:
    store = MemoryStore()
    for user in (ANN, BOB, CLEO):
        like(store, user, X)
    source = snapshots(store)
    first, second = Watched(), Watched()
    source.take(first)
    like(store, BOB, Y)
    source.take(second)
    assert (first.expected, first.advanced) == ([None], 3)
    assert (second.expected, second.advanced) == ([1], 1)


class CountingStore(MemoryStore):
    """Notes every call that reads signals."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    def kinds(self) -> frozenset[SignalKind]:
        self.calls.append("kinds")
        return super().kinds()

    def signals(
        self, users: Sequence[UserId], kinds: Collection[SignalKind]
    ) -> list[dict[SignalKind, Collection[ItemId]]]:
        self.calls.append(f"signals of {','.join(sorted(kinds))}")
        return super().signals(users, kinds)


def signal(store: MemoryStore, user: UserId, kind: SignalKind, *items: ItemId) -> None:
    apply(store, user, UserChange(signals={kind: SetChange(set(items))}))


def weights_in(snapshot: Snapshot) -> dict[tuple[str, str], float]:
    table = snapshot.interactions
    pairs = zip(*table.user_items.nonzero(), table.user_items.data, strict=True)
    return {(table.user_ids[u], table.item_ids[i]): float(weight) for u, i, weight in pairs}


def test_a_pair_has_the_largest_weight_of_its_signals() -> None:
    store = MemoryStore()
    like(store, ANN, X, Y)
    signal(store, ANN, VIEW, X, Y, Z)
    signal(store, ANN, BUY, Y)
    snapshot = take(snapshots(store, weights=WEIGHTS))
    assert weights_in(snapshot) == {(ANN, X): 1, (ANN, Y): 3, (ANN, Z): 0.25}
    assert snapshot.weights == WEIGHTS


def test_a_user_with_signals_and_no_likes_is_in_the_snapshot() -> None:
    store = MemoryStore()
    like(store, ANN, X)
    signal(store, BOB, VIEW, Y)
    assert weights_in(take(snapshots(store, weights=WEIGHTS))) == {(ANN, X): 1, (BOB, Y): 0.25}


def test_dislikes_and_kinds_without_a_positive_weight_are_not_read() -> None:
    store = CountingStore()
    like(store, ANN, X)
    for kind in (DISLIKE, BUY, VIEW):
        signal(store, ANN, kind, Y)
    store.calls.clear()
    snapshot = take(snapshots(store, weights={DISLIKE: -0.5, BUY: 0.0, VIEW: 0.25}))
    assert store.calls == ["kinds", "signals of view"]
    assert snapshot.weights == {VIEW: 0.25}


def test_without_a_weight_in_the_settings_no_signal_and_no_kind_is_asked_for() -> None:
    store = CountingStore()
    like(store, ANN, X)
    signal(store, ANN, BUY, Y)
    store.calls.clear()
    source = snapshots(store, weights={DISLIKE: -0.5})
    assert weights_in(take(source)) == {(ANN, X): 1}
    like(store, BOB, X)
    take(source)
    assert store.calls == []


def test_a_kind_that_is_used_for_the_first_time_is_in_the_next_snapshot_of_what_changed() -> None:
    store = CountingStore()
    like(store, ANN, X)
    source = snapshots(store, weights=WEIGHTS)
    assert take(source).weights == {}
    assert store.calls == ["kinds"]
    signal(store, BOB, BUY, X)
    second = take(source)
    assert not second.full
    assert second.weights == {BUY: 3.0}
    assert weights_in(second) == {(ANN, X): 1, (BOB, X): 3}
