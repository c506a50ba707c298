"""What was shown: the contract of every store."""

from __future__ import annotations

import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from redis import Redis

from likewise.messages.ids import ItemId, UserId
from likewise.messages.order import Moment, UserState
from likewise.settings import RedisSettings
from likewise.store.keys import Keys
from likewise.store.port import Changes, UserChange
from likewise.store.redis import RedisStore
from likewise.store.shown_port import ShownList, ShownRecord, Viewer
from tests.waiting import wait_until

if TYPE_CHECKING:
    from likewise.store.port import LikeStore

ANN, BOB = Viewer("user", "ann"), Viewer("user", "bób:*{1}\n")
NOW_MS = 1_700_000_000_000


def shown(number: int, *items: str, at_ms: int = NOW_MS, page: int = 1) -> ShownList:
    return ShownList(at_ms, f"r{number}", page, tuple(map(ItemId, items)))


def record(
    store: LikeStore, viewer: Viewer, one: ShownList, *, keep: int = 50, max_age_s: float = 60.0
) -> None:
    store.record_shown([ShownRecord(viewer, one, keep, max_age_s)])


def test_an_unknown_viewer_was_shown_nothing(store: LikeStore) -> None:
    assert store.shown([ANN, Viewer("chain", "c")]) == [[], []]
    assert store.shown([]) == []
    store.record_shown([])


def test_lists_are_kept_newest_first_and_for_each_viewer_alone(store: LikeStore) -> None:
    first, second, third = shown(1, "a", "é\n"), shown(2, page=2), shown(3, "c")
    pages = Viewer("pages", ANN.name)
    store.record_shown(
        [ShownRecord(v, one, 50, 60.0) for v, one in [(ANN, first), (BOB, third), (ANN, second)]]
    )
    record(store, pages, third)
    assert store.shown([ANN, BOB, pages]) == [[second, first], [third], [third]]


def test_only_so_many_lists_are_kept(store: LikeStore) -> None:
    for number in range(5):
        record(store, ANN, shown(number), keep=3)
    assert store.shown([ANN]) == [[shown(4), shown(3), shown(2)]]


def test_a_list_above_the_maximum_age_is_erased_by_the_next(store: LikeStore) -> None:
    record(store, ANN, shown(1, at_ms=NOW_MS - 60_001))
    record(store, ANN, shown(2, at_ms=NOW_MS - 60_000))
    record(store, ANN, shown(3), max_age_s=60.0)
    assert store.shown([ANN]) == [[shown(3), shown(2, at_ms=NOW_MS - 60_000)]]


def test_the_lists_of_a_viewer_who_does_not_come_back_are_erased(store: LikeStore) -> None:
    record(store, ANN, shown(1), max_age_s=0.5)
    record(store, BOB, shown(2), max_age_s=600.0)
    wait_until(lambda: store.shown([ANN]) == [[]], "the list is erased")
    assert store.shown([BOB]) == [[shown(2)]]


@pytest.mark.parametrize("scattered", [False, True])
def test_who_is_forgotten_was_shown_nothing(store: LikeStore, scattered: bool) -> None:
    viewers = [ANN, Viewer("pages", ANN.name), BOB]
    for viewer in viewers:
        record(store, viewer, shown(1, "a"))
    ann = UserId(ANN.name)
    forget: dict[str, Any] = (
        {"scattered": {ann: UserState(forget=Moment(NOW_MS, 0, 0))}}
        if scattered
        else {"users": {ann: UserChange(forget=True)}}
    )
    store.apply(Changes(**forget), {})
    assert store.shown(viewers) == [[], [], [shown(1, "a")]]


def test_what_likewise_did_not_write_is_left_alone_and_harms_nobody(
    redis_url: str, prefix: str
) -> None:
    keys = Keys(prefix)
    with (
        closing(Redis.from_url(redis_url, decode_responses=True)) as redis,
        closing(RedisStore(RedisSettings(url=redis_url, key_prefix=prefix))) as store,
    ):
        redis.set(keys.shown(ANN), "foreign")
        redis.lpush(keys.shown(BOB), "foreign", "[1]")
        store.record_shown([ShownRecord(viewer, shown(1), 50, 60.0) for viewer in (ANN, BOB)])
        assert store.shown([ANN, BOB]) == [[], [shown(1)]]
        assert redis.get(keys.shown(ANN)) == "foreign"


def test_lists_recorded_at_the_same_time_are_all_kept(store: LikeStore) -> None:
    def record_some(start: int) -> None:
        for number in range(start, start + 10):
            record(store, ANN, shown(number))

    threads = [threading.Thread(target=record_some, args=(start,)) for start in (0, 10, 20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [lists] = store.shown([ANN])
    assert {one.recommendation_id for one in lists} == {f"r{number}" for number in range(30)}
