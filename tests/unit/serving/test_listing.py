"""Trending and newest items, and exploration: the lists that no model ranks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from indexer.build import build_model
from indexer.interactions import UserLikes, interactions_of
from likewise.catalogue.catalogue import Catalogue
from likewise.errors import ForeignDataError
from likewise.messages.ids import ItemId, UserId
from likewise.messages.items import CatalogueItem, encode_item
from likewise.messages.request_decoding import decode_request
from likewise.ranking.queries import Query
from likewise.ranking.recipe import Recipe
from likewise.ranking.recommend import Ranked, RankedItem
from likewise.store.port import Changes, UserChange
from likewise.store.recent_port import NewItemChanges
from likewise.testing import MemoryStore
from serving.listing import Lists
from serving.trending import TrendingItems
from tests.serving_rig import item, items_of, like, likes_but_one

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from likewise.messages.requests import Request
    from likewise.ranking.model import Model
    from tests.serving_rig import Rig

DAY_MS = 86_400_000
NOW_MS = 20_000 * DAY_MS
OLD = [ItemId(f"old {number}") for number in range(10)]
FRESH = [ItemId(f"fresh {number:02}") for number in range(40)]
"""In the catalogue and liked by nobody, the newest first."""
TRENDING = [(OLD[3], 9.0), (FRESH[0], 5.0), (OLD[1], 4.0), (ItemId("unknown"), 2.0), (OLD[7], 1.0)]


@pytest.fixture(scope="module")
def model() -> Model:
    return build_model(interactions_of([UserLikes([UserId("u")], [set(OLD)])]), Recipe(rank=1))


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    catalogue = Catalogue()
    catalogue.apply(
        (
            item,
            CatalogueItem(
                item,
                categories=("even" if number % 2 == 0 else "odd",),
                labels={"artist": f"a{number // 10}"},
                published_at_ms=NOW_MS - number * DAY_MS,
            ),
        )
        for number, item in enumerate([*FRESH, *OLD])
    )
    return catalogue


@pytest.fixture
def lists(model: Model, catalogue: Catalogue) -> Lists:
    return Lists(TRENDING, catalogue.aligned(model), (model.item_rows,), frozenset(), NOW_MS)


def asked(source: str | None = None, **options: Any) -> Request:
    body = {"user_id": "ann", "source": source, **options}
    return decode_request(msgspec.json.encode(body))


def query(request: Request, banned: Collection[ItemId] = ()) -> Query:
    pins = tuple((pin.item_id, pin.place) for pin in request.pin)
    return Query((), frozenset(banned), request.count, only=request.only, pins=pins)


def shown(lists: Lists, request: Request, banned: Collection[ItemId] = ()) -> list[ItemId]:
    [answer] = lists.rank(by_model, [(request, query(request, banned))])
    assert answer.source == (request.source or "model")
    return [item.item_id for item in answer.items]


def by_model(queries: Sequence[Query]) -> list[Ranked]:
    """Rank the old items, without looking at anything."""
    return [
        Ranked([RankedItem(item, 1.0, ()) for item in OLD[: one.count - len(one.pins)]], "model")
        for one in queries
    ]


def test_trending_items_are_shown_with_their_counts(lists: Lists) -> None:
    request = asked("trending", count=3)
    [answer] = lists.rank(by_model, [(request, query(request))])
    assert [(item.item_id, item.score) for item in answer.items] == TRENDING[:3]


def test_the_newest_items_come_first(lists: Lists) -> None:
    assert shown(lists, asked("new", count=5)) == FRESH[:5]
    assert shown(lists, asked("new", count=100)) == [*FRESH, *OLD]


@pytest.mark.parametrize(
    ("options", "trending", "newest"),
    [
        ({"where": {"categories": "odd"}}, [OLD[3], OLD[1], OLD[7]], FRESH[1:6:2]),
        ({"only": [OLD[1], FRESH[8]]}, [OLD[1]], [FRESH[8], OLD[1]]),
        (
            {"max_per": {"field": "artist", "count": 1}},
            [OLD[3], FRESH[0], "unknown"],
            FRESH[::10][:3],
        ),
        (
            {"pin": [{"item_id": OLD[1], "place": 1}]},
            [OLD[1], OLD[3], FRESH[0]],
            [OLD[1], *FRESH[:2]],
        ),
        (
            {"boost": [{"where": {"item_id": OLD[7]}, "factor": 7}]},
            [OLD[3], OLD[7], FRESH[0]],
            FRESH[:3],
        ),
    ],
)
def test_rules_apply_to_both(
    options: dict[str, Any], trending: list[ItemId], newest: list[ItemId], lists: Lists
) -> None:
    assert shown(lists, asked("trending", count=3, **options)) == trending
    assert shown(lists, asked("new", count=3, **options)) == newest


def test_banned_and_retired_items_are_in_neither(lists: Lists) -> None:
    lists = lists._replace(retired=frozenset({OLD[3], FRESH[1]}))
    assert shown(lists, asked("trending", count=2), [FRESH[0]]) == [OLD[1], "unknown"]
    assert shown(lists, asked("new", count=2), [FRESH[0]]) == FRESH[2:4]


def test_rotation_moves_trending_items_back(lists: Lists) -> None:
    request = asked("trending", count=2)
    moved = Query((), frozenset(), 2, demoted={OLD[3]: 0.1})
    [answer] = lists.rank(by_model, [(request, moved)])
    assert [item.item_id for item in answer.items] == [FRESH[0], OLD[1]]


def test_requests_of_all_sources_are_answered_in_their_order(lists: Lists) -> None:
    requests = [asked("new"), asked(), asked("trending"), asked("popular"), asked("new")]
    answers = lists.rank(by_model, [(one, query(one)) for one in requests])
    assert [one.source for one in answers] == ["new", "model", "trending", "model", "new"]


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 1.0])
def test_a_share_of_the_places_is_given_to_items_that_nothing_ranks(
    share: float, lists: Lists
) -> None:
    found = 0
    for number in range(100):
        request = decode_request(
            msgspec.json.encode({"user_id": f"u{number}", "count": 10, "explore": share})
        )
        [answer] = lists.rank(by_model, [(request, query(request))])
        ids = [item.item_id for item in answer.items]
        assert len(ids) == len(set(ids)) == 10
        assert answer.explored == set(ids) & set(FRESH)
        kept = [item for item in ids if item not in answer.explored]
        assert kept == OLD[: len(kept)]
        found += len(answer.explored)
    assert found / 1000 == pytest.approx(share, abs=0.05)


def test_exploration_is_the_same_all_day_and_differs_between_users_and_days(lists: Lists) -> None:
    request = asked(count=10, explore=0.3)
    other = decode_request(b'{"user_id": "bob", "count": 10, "explore": 0.3}')
    today = shown(lists, request)
    assert shown(lists._replace(now_ms=NOW_MS + DAY_MS - 1), request) == today
    assert shown(lists._replace(now_ms=NOW_MS + DAY_MS), request) != today
    assert shown(lists, other) != today


def test_exploration_obeys_the_rules(lists: Lists) -> None:
    pin = {"item_id": OLD[5], "place": 2}
    request = asked(count=10, explore=0.5, where={"categories": "even"}, pin=[pin])
    asked_for = Query((), frozenset(FRESH[:10]), 10, pins=((OLD[5], 2),))
    answer = Ranked(
        [RankedItem(item, 1.0, ()) for item in [OLD[0], OLD[5], *OLD[1:5], *OLD[6:]]], "model"
    )
    [found] = lists.rank(lambda _: [answer], [(request, asked_for)])
    assert found.items[1].item_id == OLD[5]
    assert len(found.explored) == 5
    assert found.explored <= set(FRESH[10::2])
    limited = asked(count=10, explore=1.0, max_per={"field": "artist", "count": 1})
    [found] = lists.rank(lambda _: [Ranked([], "model")], [(limited, query(limited))])
    assert len(found.explored) == len(found.items) == 4


def test_without_new_items_exploration_changes_nothing(model: Model) -> None:
    empty = Lists((), Catalogue().aligned(model), (model.item_rows,), frozenset(), NOW_MS)
    assert shown(empty, asked(count=10, explore=1.0)) == OLD
    assert shown(empty, asked("new")) == []


def test_trending_items_are_read_at_most_once_a_second() -> None:
    store = MemoryStore()
    found = TrendingItems(store)
    assert found.items(NOW_MS) == []
    store.count_trending({OLD[0]: 2}, at_ms=NOW_MS, now_ms=NOW_MS, half_life_ms=1_000)
    assert found.items(NOW_MS + 999) == []
    assert found.items(NOW_MS + 1_000) == [(OLD[0], 1.0)]


def test_a_key_of_somebody_else_has_no_trending_items() -> None:
    store = MemoryStore()
    store.failure = ForeignDataError("not ours")
    assert TrendingItems(store).items(NOW_MS) == ()


def test_a_server_answers_from_all_sources(rig: Rig) -> None:
    now_ms = rig.now_ms
    counts = {item(1, 0): 3, item(0, 0): 2, ItemId("fresh"): 1}
    rig.store.count_trending(counts, at_ms=now_ms, now_ms=now_ms, half_life_ms=DAY_MS)
    fresh = CatalogueItem(ItemId("fresh"), categories=("new",), published_at_ms=now_ms)
    rig.store.apply(Changes(items={fresh.item_id: encode_item(fresh)}), {})
    rig.replace_worker()
    like(rig.store, "ann", [item(1, 0)])
    trending = rig.answer({"user_id": "ann", "source": "trending"}, reply_partition=0)
    assert (trending["source"], items_of(trending)) == ("trending", [item(0, 0), "fresh"])
    filtered = rig.answer({"source": "trending", "where": {"categories": "new"}}, reply_partition=0)
    assert items_of(filtered) == ["fresh"]
    newest = rig.answer({"source": "new"}, reply_partition=0)
    assert (newest["source"], items_of(newest)) == ("new", ["fresh"])
    explored = rig.answer({"user_id": "ann", "count": 3, "explore": 1.0}, reply_partition=0)
    assert [one["item_id"] for one in explored["items"] if one.get("explored")] == ["fresh"]
    assert len(explored["items"]) == 3


def test_new_items_obey_the_filters_of_a_request(rig: Rig) -> None:
    fresh = CatalogueItem(ItemId("fresh"), categories=("drama",), labels={"artist": "x"})
    rig.store.apply(Changes(items={fresh.item_id: encode_item(fresh)}), {})
    rig.replace_worker()
    like(rig.store, "ann", likes_but_one(0))
    fans = [UserId(f"fan {number}") for number in range(3)]
    changes = Changes(
        users={fan: UserChange(add={*likes_but_one(0), fresh.item_id}) for fan in fans}
    )
    changes.new_items = NewItemChanges([(fresh.item_id, fan) for fan in fans])
    rig.store.apply(changes, {})
    rig.new_items.look()
    asked = {"user_id": "ann", "count": 3, "fill": False}
    assert "fresh" in items_of(rig.answer(asked))
    assert items_of(rig.answer({**asked, "where": {"categories": "drama"}})) == ["fresh"]
    assert "fresh" not in items_of(rig.answer({**asked, "where": {"categories": "comedy"}}))
    boost = [{"where": {"artist": "x"}, "factor": 1000}]
    assert items_of(rig.answer({**asked, "boost": boost}))[0] == "fresh"
