"""Folding a batch is the same as applying its events one by one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.fold import fold
from likewise.messages.events import (
    Event,
    ForgetUser,
    Like,
    RestoreItem,
    RetireItem,
    Signal,
    Unlike,
    Unsignal,
)
from likewise.messages.ids import DISLIKE, ItemId, SignalKind, UserId
from likewise.store.port import Changes, UserChange
from likewise.store.signals_port import SetChange
from likewise.testing import MemoryStore

ANN, BOB = UserId("ann"), UserId("bob")
A, B = ItemId("a"), ItemId("b")
USERS = [ANN, BOB, UserId("eve")]

users = st.sampled_from(USERS)
items = st.sampled_from([A, B, ItemId("c")])
KINDS = frozenset({DISLIKE, SignalKind("buy")})
kinds = st.sampled_from(sorted(KINDS))
events: st.SearchStrategy[Event] = st.one_of(
    st.builds(Like, users, items),
    st.builds(Unlike, users, items),
    st.builds(Signal, users, items, kinds),
    st.builds(Unsignal, users, items, kinds),
    st.builds(ForgetUser, users),
    st.builds(RetireItem, items),
    st.builds(RestoreItem, items),
)
logs = st.lists(events, max_size=40)


def test_no_events_are_no_changes() -> None:
    assert fold([]) == Changes()


@pytest.mark.parametrize(
    ("batch", "change"),
    [
        ([Like(ANN, A)], UserChange(add={A})),
        ([Like(ANN, A), Like(ANN, A)], UserChange(add={A})),
        ([Like(ANN, A), Unlike(ANN, A), Like(ANN, A)], UserChange(add={A})),
        ([Like(ANN, A), Unlike(ANN, A)], UserChange(remove={A})),
        ([Unlike(ANN, A), Like(ANN, B)], UserChange(add={B}, remove={A})),
        ([Like(ANN, A), ForgetUser(ANN)], UserChange(forget=True)),
        ([ForgetUser(ANN), Like(ANN, A)], UserChange(forget=True, add={A})),
    ],
)
def test_a_batch_comes_to_the_last_word_on_each_item(
    batch: list[Event], change: UserChange
) -> None:
    assert fold(batch).users == {ANN: change}


def test_users_are_kept_apart() -> None:
    folded = fold([Like(ANN, A), ForgetUser(BOB), Like(BOB, B)])
    assert folded.users == {
        ANN: UserChange(add={A}),
        BOB: UserChange(forget=True, add={B}),
    }


def test_the_last_word_on_an_item_s_retirement_counts() -> None:
    folded = fold([RetireItem(A), RestoreItem(B), RestoreItem(A), RetireItem(B)])
    assert (folded.retire, folded.restore) == ({B}, {A})


@given(logs, logs)
def test_a_folded_batch_equals_its_events_one_by_one(
    before: list[Event], batch: list[Event]
) -> None:
    at_once, one_by_one = MemoryStore(), MemoryStore()
    for store in (at_once, one_by_one):
        store.apply(changes_of(before), {})
    at_once.apply(changes_of(batch), {})
    for event in batch:
        one_by_one.apply(changes_of([event]), {})
    assert state_of(at_once) == state_of(one_by_one)


@given(logs, st.data())
def test_any_suffix_applied_again_changes_nothing(log: list[Event], data: st.DataObject) -> None:
    store = MemoryStore()
    store.apply(changes_of(log), {})
    expected = state_of(store)
    for _ in range(2):
        start = data.draw(st.integers(0, len(log)))
        store.apply(changes_of(log[start:]), {})
        assert state_of(store) == expected


@given(logs, st.data())
def test_any_prefix_applied_twice_changes_nothing(log: list[Event], data: st.DataObject) -> None:
    once, twice = MemoryStore(), MemoryStore()
    end = data.draw(st.integers(0, len(log)))
    for store, times in ((once, 1), (twice, 2)):
        for _ in range(times):
            store.apply(changes_of(log[:end]), {})
    assert state_of(once) == state_of(twice)
    for store in (once, twice):
        store.apply(changes_of(log[end:]), {})
    whole = MemoryStore()
    whole.apply(changes_of(log), {})
    assert state_of(once) == state_of(twice) == state_of(whole)


@given(logs)
def test_what_is_added_is_not_removed(log: list[Event]) -> None:
    folded = fold(log)
    assert not folded.retire & folded.restore
    for change in folded.users.values():
        assert not change.add & change.remove
        for signals in (change.signals or {}).values():
            assert not signals.add & signals.remove


def test_signals_come_to_the_last_word_on_each_item_and_kind() -> None:
    buy = SignalKind("buy")
    batch: list[Event] = [
        Signal(ANN, A, buy),
        Unsignal(ANN, A, DISLIKE),
        Unsignal(ANN, A, buy),
        Like(ANN, A),
    ]
    folded = fold([*batch, Signal(ANN, B, buy)])
    signals = {buy: SetChange({B}, {A}), DISLIKE: SetChange(remove={A})}
    assert folded.users == {ANN: UserChange(add={A}, signals=signals)}
    assert folded.kinds == {buy}


def changes_of(events: list[Event]) -> Changes:
    changes = fold(events)
    changes.forgotten_kinds = KINDS
    return changes


def state_of(store: MemoryStore) -> object:
    return store.likes(USERS), store.signals(USERS, sorted(KINDS)), store.retired()[1]
