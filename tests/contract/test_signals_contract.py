"""The contract of every store's signals: sets by kind, next to the likes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from likewise.errors import HomesMovedError, PositionMovedError
from likewise.messages.ids import DISLIKE, HIDE, ItemId, SignalKind, UserId
from likewise.messages.order import ItemState, Merged, Moment, Reach, UserState
from likewise.records import TopicPartition
from likewise.store.port import Advance, Changes, History, Homes, UserChange
from likewise.store.signals_port import SetChange

if TYPE_CHECKING:
    from likewise.store.port import LikeStore

P0 = TopicPartition("likes", 0)
ANN, BOB, EVE = UserId("ann"), UserId("bob"), UserId("éve:{1}\n*")
BUY, VIEW = SignalKind("buy"), SignalKind("view")
KINDS = (DISLIKE, HIDE, BUY)
ALL = frozenset({DISLIKE, HIDE, BUY, VIEW})


def test_a_new_store_has_no_signals(store: LikeStore) -> None:
    assert store.kinds() == frozenset()
    assert list(store.signals([ANN, BOB], KINDS)) == [{}, {}]
    assert list(store.signals([ANN], [])) == [{}]
    assert list(store.signals([], KINDS)) == []
    assert list(store.scan_users_of(BUY, 10)) == []
    assert store.lookup([ANN], []).kinds == frozenset()


def test_signals_of_each_kind_are_added_and_removed_alone(store: LikeStore) -> None:
    signal(store, ANN, {BUY: added("a", "b"), DISLIKE: added("b")})
    signal(store, EVE, {HIDE: added("a")})
    signal(store, ANN, {BUY: SetChange(items("c"), items("a", "never bought"))})
    signal(store, EVE, {HIDE: SetChange(remove=items("a"))})
    assert read(store, ANN) == {BUY: items("b", "c"), DISLIKE: items("b")}
    assert read(store, EVE) == {}
    assert store.likes([ANN, EVE]) == [set(), set()]


def test_kinds_are_those_that_were_ever_used(store: LikeStore) -> None:
    signal(store, ANN, {BUY: added("a")})
    signal(store, BOB, {DISLIKE: added("a")})
    signal(store, BOB, {DISLIKE: SetChange(remove=items("a"))})
    assert store.kinds() == {BUY, DISLIKE} == store.lookup([], []).kinds


def test_a_lookup_has_the_signals_of_the_kinds_that_are_asked_for(store: LikeStore) -> None:
    signal(store, ANN, {BUY: added("a", "b"), HIDE: added("c")})
    store.apply(Changes(users={BOB: UserChange(add=items("d"))}), {P0: Advance(None, 3)})
    found = store.lookup([BOB, ANN], [P0], [BUY, DISLIKE])
    assert found.positions == [3]
    assert [sorted(one) for one in found.likes] == [["d"], []]
    assert [{kind: set(held) for kind, held in one.items()} for one in found.signals] == [
        {},
        {BUY: items("a", "b")},
    ]
    assert list(store.lookup([BOB, ANN], [P0]).signals) == []


def test_signals_applied_again_change_nothing(store: LikeStore) -> None:
    for _ in range(3):
        signal(store, ANN, {BUY: SetChange(items("a"), items("b"))})
    assert read(store, ANN) == {BUY: items("a")}


def test_a_batch_that_starts_at_another_position_changes_no_signal(store: LikeStore) -> None:
    store.apply(Changes(), {P0: Advance(None, 5)})
    change = UserChange(signals={BUY: added("a")})
    with pytest.raises(PositionMovedError):
        store.apply(Changes(users={ANN: change}, kinds={BUY}), {P0: Advance(4, 6)})
    assert (read(store, ANN), store.kinds()) == ({}, frozenset())


def test_forgetting_erases_the_signals_of_every_named_kind(store: LikeStore) -> None:
    for user in (ANN, BOB):
        signal(store, user, {BUY: added("a"), DISLIKE: added("b"), HIDE: added("c")})
    forget = UserChange(forget=True, signals={BUY: added("later")})
    store.apply(Changes(users={ANN: forget}, kinds={BUY}, forgotten_kinds=ALL), {})
    assert read(store, ANN) == {BUY: items("later")}
    assert read(store, BOB) == {BUY: items("a"), DISLIKE: items("b"), HIDE: items("c")}


def test_users_with_changed_signals_are_changed(store: LikeStore) -> None:
    signal(store, ANN, {BUY: added("a")})
    assert store.take_changed(10) == [ANN]


def test_every_user_with_signals_of_a_kind_is_found_and_no_other(store: LikeStore) -> None:
    users = [UserId(f"u{number}") for number in range(150)] + [EVE]
    for user in users:
        signal(store, user, {BUY: added("a")})
    signal(store, ANN, {VIEW: added("a")})
    store.apply(Changes(users={BOB: UserChange(add=items("a"))}), {})
    found = {user for chunk in store.scan_users_of(BUY, 40) for user in chunk}
    assert found == set(users)
    assert [user for chunk in store.scan_users(40) for user in chunk] == [BOB]


def test_a_user_may_have_more_signals_than_fit_in_one_command(store: LikeStore) -> None:
    many = {ItemId(f"i{number}") for number in range(12_000)}
    signal(store, ANN, {VIEW: SetChange(set(many))})
    assert set(store.signals([ANN], [VIEW])[0][VIEW]) == many


def test_signals_of_a_scattered_user_are_merged_by_time(store: LikeStore) -> None:
    mark(store, ANN)
    merge(store, ANN, signals={BUY: {item("a"): at(5), item("b"): at(5, holds=False)}})
    merge(store, ANN, signals={BUY: {item("a"): at(3, holds=False), item("b"): at(4)}})
    merge(store, ANN, signals={DISLIKE: {item("a"): at(1)}})
    assert read(store, ANN) == {BUY: items("a"), DISLIKE: items("a")}


def test_forgetting_a_scattered_user_erases_older_signals_whenever_they_come(
    store: LikeStore,
) -> None:
    mark(store, ANN)
    merge(store, ANN, signals={BUY: {item("old"): at(2), item("new"): at(9)}})
    merge(store, ANN, forget=Moment(5, 0, 5))
    merge(store, ANN, signals={BUY: {item("late"): at(4)}, HIDE: {item("late"): at(4)}})
    assert read(store, ANN) == {BUY: items("new")}


def test_a_scattered_users_mark_tells_when_the_user_was_forgotten_or_merged(
    store: LikeStore,
) -> None:
    mark(store, ANN, EVE)
    merged = Merged(Moment(1, 0, 1), Moment(5, 0, 5), EVE)
    assert marks(store, ANN) == (None, None)
    merge(store, ANN, forget=merged.moment, merged=merged)
    assert marks(store, ANN) == (merged.moment, merged)
    merge(store, ANN, forget=Moment(4, 0, 4))
    assert marks(store, ANN) == (merged.moment, merged)
    merge(store, ANN, forget=Moment(7, 0, 7))
    assert marks(store, ANN) == (Moment(7, 0, 7), None)


def test_signals_before_the_mark_are_caught_up_with(store: LikeStore) -> None:
    signal(store, ANN, {BUY: added("old", "a"), DISLIKE: added("b")})
    homes = store.scatter({ANN: 3}, store.homes("murmur2", 3))
    state = UserState(
        items={item("liked"): at(3)},
        signals={BUY: {item("a"): at(4)}, DISLIKE: {item("b"): at(4, holds=False)}},
        reach={0: Reach(4, 4)},
    )
    store.catch_up({ANN: History(3, state, ALL)})
    assert read(store, ANN) == {BUY: items("old", "a")}
    assert store.likes([ANN]) == [items("liked")]
    merge(store, ANN, homes, signals={BUY: {item("a"): at(3, holds=False)}})
    assert read(store, ANN) == {BUY: items("old", "a")}


def test_who_works_on_scattered_users_is_refused_after_a_merge(store: LikeStore) -> None:
    mark(store, ANN)
    homes = store.homes("murmur2", 3)
    state = UserState(items={item("moved"): at(4)})
    store.apply(Changes(scattered={ANN: state}, accounts={ANN}, homes=homes), {})
    with pytest.raises(HomesMovedError):
        store.apply(Changes(scattered={ANN: UserState(items={item("x"): at(5)})}, homes=homes), {})
    assert store.likes([ANN]) == [items("moved")]


def test_a_merge_reads_what_a_user_has_and_since_when(store: LikeStore) -> None:
    signal(store, ANN, {BUY: added("old")})
    mark(store, ANN)
    merge(store, ANN, signals={BUY: {item("new"): at(4), item("gone"): at(5, holds=False)}})
    assert store.held([ANN, BOB], [BUY, HIDE]) == [
        {None: {}, BUY: {item("old"): None, item("new"): Moment(4, 0, 4)}, HIDE: {}},
        {None: {}, BUY: {}, HIDE: {}},
    ]
    assert store.held([], [BUY]) == []


def item(name: str) -> ItemId:
    return ItemId(name)


def items(*names: str) -> set[ItemId]:
    return {ItemId(name) for name in names}


def added(*names: str) -> SetChange:
    return SetChange(items(*names))


def at(time_ms: int, *, holds: bool = True) -> ItemState:
    return ItemState(Moment(time_ms, 0, time_ms), holds)


def signal(store: LikeStore, user: UserId, signals: dict[SignalKind, SetChange]) -> None:
    change = UserChange(signals=signals)
    store.apply(Changes(users={user: change}, kinds={*signals}), {})


def read(store: LikeStore, user: UserId) -> dict[SignalKind, set[ItemId]]:
    return {kind: set(held) for kind, held in store.signals([user], [*ALL])[0].items()}


def mark(store: LikeStore, *users: UserId) -> None:
    store.scatter(dict.fromkeys(users, 0), store.homes("murmur2", 3))
    store.catch_up({user: History(0, UserState()) for user in users})


def marks(store: LikeStore, user: UserId) -> tuple[Moment | None, Merged | None]:
    found = store.scattered([user], [0])[0]
    assert found is not None
    return found.forgotten, found.merged


def merge(
    store: LikeStore,
    user: UserId,
    homes: Homes | None = None,
    *,
    forget: Moment | None = None,
    merged: Merged | None = None,
    signals: dict[SignalKind, dict[ItemId, ItemState]] | None = None,
) -> None:
    known = store.scattered([user], [])[0]
    assert known is not None
    state = UserState(
        forget=forget,
        merged=merged,
        signals=signals or {},
        forgotten_before=known.forgotten,
    )
    changes = Changes(scattered={user: state}, kinds={*state.signals}, forgotten_kinds=ALL)
    changes.homes = homes
    store.apply(changes, {})
