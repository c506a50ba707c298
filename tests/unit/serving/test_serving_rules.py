"""What may be shown: filters, lists, boosts, pins, maxima, fields and scenarios, from request to reply."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from likewise.errors import SettingsError
from likewise.messages.items import CatalogueItem, encode_item
from likewise.messages.request_options import RequestOptions
from likewise.messages.scenarios import Scenario, encode_scenario
from likewise.messages.where import parse_where
from likewise.store.port import Changes
from tests.serving_rig import (
    BLOCK_ITEMS,
    BLOCKS,
    Rig,
    block_items,
    error_of,
    item,
    items_of,
    like,
    likes_but_one,
)

if TYPE_CHECKING:
    from likewise.messages.ids import ItemId

ALL = {item(block, number) for block in range(BLOCKS) for number in range(BLOCK_ITEMS)}


def described(item_id: ItemId) -> CatalogueItem:
    block, number = item_id.removeprefix("c").split(".")
    return CatalogueItem(
        item_id,
        title=f"title of {item_id}",
        categories=("even" if int(number) % 2 == 0 else "odd", f"block {block}"),
        labels={"price": int(number) + 0.5, "block": f"b{block}"},
    )


@pytest.fixture
def catalogue(rig: Rig) -> Rig:
    """A server with a catalogue of all items but those of block 11."""
    items = [described(item_id) for item_id in sorted(ALL - block_items(11))]
    rig.store.apply(Changes(items={one.item_id: encode_item(one) for one in items}), {})
    rig.catalogue.look()
    return rig


def test_only_what_passes_the_filter_is_shown_and_the_list_is_filled(catalogue: Rig) -> None:
    like(catalogue.store, "u", likes_but_one(3))
    where = {"categories": "even", "price": {"$lt": 3}}
    shown = items_of(catalogue.answer({"user_id": "u", "count": 1_000, "where": where}))
    expected = {item(block, number) for block in range(11) for number in (0, 2)}
    assert {*shown} == expected - {*likes_but_one(3)}
    assert shown[0] == item(3, 0)


def test_a_filter_on_what_no_item_has_shows_nothing(catalogue: Rig) -> None:
    assert items_of(catalogue.answer({"user_id": "u", "where": {"colour": "red"}})) == []
    missing = {"price": {"$exists": False}}
    shown = items_of(catalogue.answer({"user_id": "u", "count": 99, "where": missing}))
    assert {*shown} == block_items(11)


def test_without_a_catalogue_a_filter_knows_ids_alone(rig: Rig) -> None:
    assert items_of(rig.answer({"user_id": "u", "where": {"price": 1}})) == []
    assert items_of(rig.answer({"user_id": "u", "where": {"item_id": item(3, 1)}})) == [item(3, 1)]


def test_a_list_of_mine_is_ranked(rig: Rig) -> None:
    like(rig.store, "u", likes_but_one(3))
    mine = [item(8, 0), item(3, 0), item(3, 1), "unknown"]
    assert items_of(rig.answer({"user_id": "u", "only": mine})) == [item(3, 0), item(8, 0)]


def test_boosts_multiply(catalogue: Rig) -> None:
    like(catalogue.store, "u", [item(3, 0), item(7, 0)])
    plain = catalogue.answer({"user_id": "u", "count": 8})["items"]
    boost = [
        {"where": {"block": "b7"}, "factor": 4},
        {"where": {"item_id": item(7, 2)}, "factor": 2},
    ]
    boosted = catalogue.answer({"user_id": "u", "count": 8, "boost": boost})["items"]
    scores = {one["item_id"]: one["score"] for one in plain}
    factors = dict.fromkeys(block_items(7), 4) | {item(7, 2): 8}
    for one in boosted:
        factor = factors.get(one["item_id"], 1)
        assert one["score"] == pytest.approx(factor * scores[one["item_id"]], rel=1e-5)
    assert boosted[0]["item_id"] == item(7, 2)


def test_many_large_boosts_leave_scores_finite(catalogue: Rig) -> None:
    like(catalogue.store, "u", [item(7, 0)])
    boost = [{"where": {"block": "b7"}, "factor": 1000}] * 20
    (one,) = catalogue.answer({"user_id": "u", "count": 1, "boost": boost})["items"]
    assert 0 < one["score"] < 1e15


def test_a_boosted_answer_is_explained_to_its_score(catalogue: Rig) -> None:
    like(catalogue.store, "u", [item(7, 0)])
    boost = [{"where": {"block": "b7"}, "factor": 4}]
    question = {"user_id": "u", "count": 1, "boost": boost, "explain": True}
    [best] = catalogue.answer(question)["items"]
    [share] = best["because"]
    assert share["contribution"] == pytest.approx(best["score"], rel=1e-5)


def test_pins_are_in_their_places_and_marked(rig: Rig) -> None:
    like(rig.store, "u", likes_but_one(3))
    pin = [{"item_id": item(9, 1), "place": 2}, {"item_id": item(3, 1), "place": 1}]
    reply = rig.answer({"user_id": "u", "count": 3, "pin": pin})
    assert items_of(reply)[:2] == [item(3, 0), item(9, 1)], "what the user likes is not pinned"
    assert [one.get("pinned", False) for one in reply["items"]] == [False, True, False]
    second = rig.answer(
        {"user_id": "u", "count": 3, "pin": pin, "next_of": reply["recommendation_id"]}
    )
    assert not {*items_of(second)} & {*items_of(reply)}, "a pin is for the first page"


def test_so_many_items_of_a_group_are_shown_at_most(catalogue: Rig) -> None:
    like(catalogue.store, "u", likes_but_one(3)[:1])
    limit = {"field": "block", "count": 2}
    shown = items_of(catalogue.answer({"user_id": "u", "count": 20, "max_per": limit}))
    groups = [one.split(".")[0] for one in shown if one not in block_items(11)]
    assert len(shown) == 20
    assert max(map(groups.count, groups)) == 2


def test_fields_come_with_each_item_that_has_them(catalogue: Rig) -> None:
    fields = ["title", "price", "labels.block", "categories", "published_at", "unknown"]
    only = [item(2, 3), item(11, 0)]
    reply = catalogue.answer({"user_id": "u", "only": only, "fields": fields})
    found = {one["item_id"]: one["fields"] for one in reply["items"]}
    assert found == {
        item(2, 3): {
            "title": "title of c2.3",
            "price": 3.5,
            "labels.block": "b2",
            "categories": ["odd", "block 2"],
        },
        item(11, 0): {},
    }
    assert "fields" not in catalogue.answer({"user_id": "u"})["items"][0]


def test_the_fields_of_a_batch_are_read_at_once(
    catalogue: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[int] = []
    read = catalogue.store.catalogue_get

    def counted(ids: list[ItemId]) -> list[bytes | None]:
        reads.append(len(ids))
        return read(ids)

    monkeypatch.setattr(catalogue.store, "catalogue_get", counted)
    for number in range(5):
        catalogue.ask({"user_id": f"u{number}", "fields": ["title"]})
    catalogue.ask({"user_id": "v"})
    catalogue.worker.run_once()
    assert reads == [10]
    assert len(catalogue.replies()) == 6


def test_a_server_that_may_not_read_items_answers_without_fields(
    catalogue: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> None:
        raise SettingsError("no permission")

    monkeypatch.setattr(catalogue.store, "catalogue_get", refuse)
    reply = catalogue.answer({"user_id": "u", "fields": ["title"]})
    assert [one["fields"] for one in reply["items"]] == [{}] * 10


def put_scenario(rig: Rig) -> None:
    defaults = RequestOptions(count=3, where=parse_where({"categories": "odd"}), diversity=0.5)
    home = encode_scenario(Scenario("home", defaults))
    rig.store.apply(Changes(scenarios={"home": home}), {})
    rig.catalogue.look()


@pytest.mark.parametrize(
    ("given", "count", "odd_alone"),
    [
        ({}, 3, True),
        ({"count": 10}, 10, True),
        ({"where": {}}, 3, False),
        ({"count": None, "where": None}, 3, True),
    ],
)
def test_a_scenario_applies_where_the_request_says_nothing(
    catalogue: Rig, given: dict[str, Any], count: int, odd_alone: bool
) -> None:
    put_scenario(catalogue)
    shown = items_of(catalogue.answer({"user_id": "u", "scenario": "home", **given}))
    assert len(shown) == count
    assert all(one.endswith(("1", "3")) for one in shown) == odd_alone


def test_an_unknown_scenario_and_a_pin_beyond_its_count_are_errors(rig: Rig) -> None:
    reply = rig.answer({"user_id": "u", "scenario": "nowhere"})
    assert reply["error"] == {
        "code": "unknown_scenario",
        "message": "`scenario`: there is no scenario 'nowhere'",
    }
    put_scenario(rig)
    pin = [{"item_id": item(3, 0), "place": 5}]
    assert error_of(rig.answer({"user_id": "u", "scenario": "home", "pin": pin})) == "invalid_pin"


@pytest.mark.parametrize(
    ("body", "code", "named"),
    [
        ({"where": {"a": {"$regex": "x"}}}, "invalid_where", "where.a"),
        ({"only": ["a"] * 10_001}, "too_large", "`only`"),
        ({"boost": [{"where": {}, "factor": 1_001}]}, "invalid_boost", "boost[0].factor"),
        ({"rotation": 2}, "invalid_rotation", "`rotation`"),
        ({"next_of": "likes:*"}, "invalid_recommendation_id", "`next_of`"),
        ({"scenario": "../x"}, "invalid_scenario", "`scenario`"),
        ({"fields": [""]}, "invalid_fields", "fields[0]"),
    ],
)
def test_the_reply_to_a_bad_rule_names_the_field(
    rig: Rig, body: dict[str, Any], code: str, named: str
) -> None:
    error = rig.answer({"user_id": "u", **body})["error"]
    assert error["code"] == code
    assert named in error["message"]
