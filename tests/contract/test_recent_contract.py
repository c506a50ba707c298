"""The contract of the store's likes of new items and counts of recent likes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from likewise.errors import PositionMovedError
from likewise.messages.ids import ItemId, UserId
from likewise.messages.order import Moment, UserState
from likewise.records import TopicPartition
from likewise.store.port import Advance, Changes, UserChange
from likewise.store.recent_port import FIRST, NEW_LIKES_KEPT, NewItemChanges, NewLike

if TYPE_CHECKING:
    from likewise.store.port import LikeStore

P0 = TopicPartition("likes", 0)
ANN, BOB = UserId("ann"), UserId("u:{1}*\n")
A, B, C = ItemId("a"), ItemId("b:{1}*\n"), ItemId("ç")
HOUR_MS = 3_600_000
NOW_MS = 1_000_000 * HOUR_MS


def test_a_new_store_has_no_recent_likes(store: LikeStore) -> None:
    assert store.new_likes(FIRST, 10) == ([], FIRST, False)
    assert store.trending(10, now_ms=NOW_MS) == []


def test_likes_of_new_items_are_read_in_order_from_a_cursor(store: LikeStore) -> None:
    like(store, (A, ANN), (B, BOB))
    first = store.new_likes(FIRST, 1)
    assert first.likes == [NewLike(A, ANN)]
    like(store, (C, ANN))
    second = store.new_likes(first.cursor, 10)
    assert second.likes == [NewLike(B, BOB), NewLike(C, ANN)]
    assert store.new_likes(second.cursor, 10) == ([], second.cursor, False)


def test_an_unlike_names_the_item_and_no_user(store: LikeStore) -> None:
    store.apply(Changes(new_items=NewItemChanges(unliked={A})), {})
    assert store.new_likes(FIRST, 10).likes == [NewLike(A, None)]


def test_likes_of_new_items_are_written_with_the_position_or_not_at_all(store: LikeStore) -> None:
    changes = Changes(new_items=NewItemChanges([(A, ANN)]))
    store.apply(changes, {P0: Advance(None, 1)})
    with pytest.raises(PositionMovedError):
        store.apply(changes, {P0: Advance(None, 2)})
    assert store.new_likes(FIRST, 10).likes == [NewLike(A, ANN)]


def test_a_forgotten_user_leaves_the_stream_and_the_items_are_named_once(store: LikeStore) -> None:
    like(store, (A, ANN), (A, BOB), (B, ANN))
    read = store.new_likes(FIRST, 10)
    forget = UserChange(forget=True, add={C})
    again = NewItemChanges([(C, ANN)])
    store.apply(Changes(users={ANN: forget}, new_items=again), {})
    after = store.new_likes(read.cursor, 10)
    assert sorted(after.likes[:2]) == [NewLike(A, None), NewLike(B, None)]
    assert after.likes[2:] == [NewLike(C, ANN)]
    remaining = store.new_likes(FIRST, 10).likes
    assert [one for one in remaining if one.user_id] == [NewLike(A, BOB), NewLike(C, ANN)]


def test_a_forgotten_user_of_several_partitions_leaves_the_stream(store: LikeStore) -> None:
    like(store, (A, ANN))
    store.apply(Changes(scattered={ANN: UserState(forget=Moment(1, 0, 1))}), {})
    assert store.new_likes(FIRST, 10).likes == [NewLike(A, None)]


def test_the_oldest_likes_of_new_items_are_trimmed(store: LikeStore) -> None:
    many = [(ItemId(f"i{number}"), ANN) for number in range(NEW_LIKES_KEPT + 1_000)]
    like(store, *many)
    kept = store.new_likes(FIRST, 2 * NEW_LIKES_KEPT).likes
    assert NEW_LIKES_KEPT <= len(kept) <= NEW_LIKES_KEPT + 200
    assert kept[-1] == many[-1]


def test_a_cursor_of_a_lost_stream_starts_again(store: LikeStore) -> None:
    like(store, (A, ANN))
    beyond = f"{2**62}-{2**62}"
    assert store.new_likes(beyond, 10) == (*store.new_likes(FIRST, 10)[:2], True)


def test_trending_counts_fade_by_half_after_each_half_life(store: LikeStore) -> None:
    count(store, {A: 8, B: 3}, at_ms=NOW_MS)
    count(store, {B: 3, C: 1}, at_ms=NOW_MS + HOUR_MS)
    later_ms = NOW_MS + 2 * HOUR_MS
    assert trending(store, 2, later_ms) == [(B, 2.25), (A, 2)]
    assert len(store.trending(10, now_ms=later_ms)) == 3


def test_likes_that_were_read_late_count_less_from_the_start(store: LikeStore) -> None:
    count(store, {A: 1}, at_ms=NOW_MS)
    count(store, {B: 1}, at_ms=NOW_MS - HOUR_MS)
    assert trending(store, 10, NOW_MS) == [(A, 1), (B, 0.5)]


def test_counts_survive_another_half_life_and_years(store: LikeStore) -> None:
    count(store, {A: 4}, at_ms=NOW_MS)
    later_ms = NOW_MS + HOUR_MS
    store.count_trending({B: 1}, at_ms=later_ms, now_ms=later_ms, half_life_ms=24 * HOUR_MS)
    assert trending(store, 1, later_ms) == [(A, 2)]
    much_later_ms = later_ms + 2_000 * 24 * HOUR_MS
    count(store, {C: 1}, at_ms=much_later_ms)
    assert trending(store, 1, much_later_ms) == [(C, 1)]


def test_only_the_highest_counts_are_kept(
    store: LikeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("likewise.store.redis.recent", "likewise.testing.memory_recent"):
        monkeypatch.setattr(f"{module}.TRENDING_KEPT", 1_200)
    count(store, {ItemId(f"i{number:04}"): 1 + number for number in range(1_500)}, at_ms=NOW_MS)
    kept = trending(store, 2_000, NOW_MS)
    assert len(kept) == 1_200
    assert kept[0] == ("i1499", 1_500)


def like(store: LikeStore, *likes: tuple[ItemId, UserId]) -> None:
    store.apply(Changes(new_items=NewItemChanges([*likes])), {})


def count(store: LikeStore, likes: dict[ItemId, int], *, at_ms: int) -> None:
    store.count_trending(likes, at_ms=at_ms, now_ms=max(at_ms, NOW_MS), half_life_ms=HOUR_MS)


def trending(store: LikeStore, limit: int, now_ms: int) -> list[tuple[ItemId, float]]:
    return [(item, round(likes, 9)) for item, likes in store.trending(limit, now_ms=now_ms)]


def test_each_slot_has_the_newest_quality(store: LikeStore) -> None:
    assert store.qualities() == []
    for slot, measured in (7, b"{}"), (3, b"\xc3\xa7"), (7, b"[]"):
        store.note_quality(slot, measured)
    assert sorted(store.qualities()) == [b"[]", b"\xc3\xa7"]
