"""The same page never twice: `next_of`, whatever happens between two pages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from likewise.errors import SettingsError, TransientError
from likewise.messages.ids import ItemId, UserId
from likewise.settings import ImpressionsSettings
from likewise.store.port import Changes, UserChange
from likewise.store.shown_port import ShownList, ShownRecord, Viewer
from serving.recommendation_ids import RecommendationIds, walk_of
from serving.waiting import LIST_TIMEOUT_MS
from tests.serving_rig import (
    BLOCK_ITEMS,
    BLOCKS,
    VERSION,
    Rig,
    error_of,
    item,
    items_of,
    like,
    likes_but_one,
    write_block_model,
)

if TYPE_CHECKING:
    from pathlib import Path

ALL_ITEMS = BLOCKS * BLOCK_ITEMS


def walk(rig: Rig, subject: dict[str, Any], pages: int, count: int = 5) -> list[dict[str, Any]]:
    replies = [rig.answer({**subject, "count": count})]
    while len(replies) < pages:
        replies.append(next_page(rig, replies[-1], subject, count))
    return replies


def next_page(
    rig: Rig, reply: dict[str, Any], subject: dict[str, Any], count: int = 5
) -> dict[str, Any]:
    return rig.answer({**subject, "count": count, "next_of": reply["recommendation_id"]})


def shown_items(replies: list[dict[str, Any]]) -> list[str]:
    return [one for reply in replies for one in items_of(reply)]


def test_ids_are_random_url_safe_and_share_their_beginning_within_a_walk() -> None:
    ids = RecommendationIds()
    made = [ids.new() for _ in range(1_000)]
    made += [ids.following(made[0]) for _ in range(1_000)]
    assert len({*made}) == 2_000
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{22}", one) for one in made)
    assert {walk_of(one) for one in made[1_000:]} == {walk_of(made[0])}
    assert len({walk_of(one) for one in made[:1_000]}) == 1_000


@pytest.mark.parametrize(
    "subject",
    [
        {"user_id": "u"},
        {"liked": likes_but_one(3)},
        {"similar_to": item(3, 0)},
        {"similar_to": item(3, 0), "user_id": "u"},
    ],
)
def test_ten_pages_hold_no_item_twice_and_continue_the_order(
    rig: Rig, subject: dict[str, Any]
) -> None:
    like(rig.store, "u", likes_but_one(3))
    whole = items_of(rig.answer({**subject, "count": 50}))
    replies = walk(rig, subject, 10)
    assert shown_items(replies) == whole
    assert len({reply["recommendation_id"] for reply in replies}) == 10


def test_a_walk_ends_with_empty_pages(rig: Rig) -> None:
    replies = walk(rig, {"user_id": "u"}, 14)
    assert sorted(shown_items(replies)) == sorted(item(b, n) for b in range(12) for n in range(5))
    assert [len(items_of(reply)) for reply in replies[-2:]] == [0, 0]


def test_likes_in_between_do_not_repeat_an_item(rig: Rig) -> None:
    replies = [rig.answer({"user_id": "u", "count": 5})]
    for _ in range(9):
        like(rig.store, "u", items_of(replies[-1])[:2])
        replies.append(next_page(rig, replies[-1], {"user_id": "u"}))
    assert len({*shown_items(replies)}) == len(shown_items(replies)) == 50


def test_an_unliked_item_of_an_earlier_page_does_not_come_back(rig: Rig) -> None:
    first = rig.answer({"user_id": "u", "count": 5})
    like(rig.store, "u", items_of(first))
    second = next_page(rig, first, {"user_id": "u"})
    unlike = UserChange(remove={ItemId(one) for one in items_of(first)})
    rig.store.apply(Changes(users={UserId("u"): unlike}), {})
    third = next_page(rig, second, {"user_id": "u"})
    assert not {*items_of(third)} & {*items_of(first), *items_of(second)}


def test_a_new_model_and_another_server_continue_the_walk(tmp_path: Path) -> None:
    write_block_model(tmp_path, VERSION, blocks=BLOCKS)
    rig = Rig(tmp_path, VERSION)
    replies = walk(rig, {"user_id": "u"}, 5)
    rig.version = "20260101T000001.000Z"
    write_block_model(tmp_path, rig.version, blocks=BLOCKS + 3)
    rig.replace_worker()
    for _ in range(5):
        replies.append(next_page(rig, replies[-1], {"user_id": "u"}))
    assert {reply["model"]["version"] for reply in replies} == {VERSION, rig.version}
    assert len({*shown_items(replies)}) == 50


def test_a_page_may_be_asked_for_twice(rig: Rig) -> None:
    first, second = walk(rig, {"user_id": "u"}, 2)
    again = next_page(rig, first, {"user_id": "u"})
    assert items_of(again) == items_of(second)
    third = next_page(rig, second, {"user_id": "u"})
    assert items_of(third) == items_of(next_page(rig, again, {"user_id": "u"}))
    assert not {*items_of(third)} & {*items_of(first), *items_of(second)}


def test_a_walk_outlasts_the_users_lists(model_directory: Path) -> None:
    rig = Rig(model_directory, VERSION, impressions=ImpressionsSettings(lists=2))
    replies = [rig.answer({"user_id": "u", "count": 5})]
    for _ in range(7):
        replies.append(next_page(rig, replies[-1], {"user_id": "u"}))
        rig.answer({"user_id": "u"})
    assert len({*shown_items(replies)}) == 40


def test_a_page_asked_for_before_the_one_before_it_is_recorded_waits(rig: Rig) -> None:
    rig.ask({"user_id": "u", "count": 5})
    rig.worker.run_once()
    [first] = rig.replies()
    rig.ask({"user_id": "u", "count": 5, "next_of": first["recommendation_id"]})
    rig.ask({"user_id": "v"})
    rig.worker.run_once()
    assert [reply["user_id"] for reply in rig.replies()] == ["u", "v"], "others do not wait"
    assert rig.worker.stats.waiting == 1
    rig.impressions.write_pending()
    rig.now_ms += 25
    rig.worker.run_once()
    assert not {*items_of(rig.replies()[2])} & {*items_of(first)}


def test_the_list_of_another_user_is_as_unknown_as_one_that_never_was(rig: Rig) -> None:
    anns, visitors = rig.answer({"user_id": "ann"}), rig.answer({"liked": [item(0, 0)]})
    asked = [
        {"user_id": "bob", "next_of": anns["recommendation_id"]},
        {"user_id": "bob", "next_of": visitors["recommendation_id"]},
        {"liked": [item(0, 0)], "next_of": anns["recommendation_id"]},
        {"user_id": "bob", "next_of": "never"},
    ]
    for body in asked:
        rig.ask(body)
    rig.worker.run_once()
    assert len(rig.replies()) == 2
    rig.now_ms += LIST_TIMEOUT_MS - 1
    rig.worker.run_once()
    assert len(rig.replies()) == 2, "all of them wait for the same time"
    rig.now_ms += LIST_TIMEOUT_MS
    rig.worker.run_once()
    errors = [reply["error"] for reply in rig.replies() if "error" in reply]
    assert len(errors) == 4
    assert all(error == errors[0] for error in errors)
    assert errors[0]["code"] == "unknown_recommendation"
    assert "`next_of`" in errors[0]["message"]


def test_a_walk_with_a_lost_page_is_unknown_rather_than_wrong(rig: Rig) -> None:
    ids = RecommendationIds()
    first = ids.new()
    third = ShownList(rig.now_ms, ids.following(first), 3, (item(0, 0),))
    rig.store.record_shown([ShownRecord(Viewer("user", "u"), third, 50, 60.0)])
    rig.ask({"user_id": "u", "next_of": third.recommendation_id})
    rig.worker.run_once()
    rig.now_ms += LIST_TIMEOUT_MS
    rig.worker.run_once()
    assert error_of(rig.replies()[0]) == "unknown_recommendation"


def test_a_walk_ends_at_its_bound_with_a_clear_error(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.answering.MAX_WALK_ITEMS", 14)
    replies = walk(rig, {"user_id": "u"}, 3)
    assert "items" in replies[1]
    assert error_of(replies[2]) == "too_large"
    assert "`next_of`" in replies[2]["error"]["message"]


def test_who_is_forgotten_begins_again(rig: Rig) -> None:
    first, second = walk(rig, {"user_id": "u"}, 2)
    rig.store.apply(Changes(users={UserId("u"): UserChange(forget=True)}), {})
    for reply in (first, second):
        rig.ask({"user_id": "u", "next_of": reply["recommendation_id"]})
    rig.worker.run_once()
    rig.now_ms += LIST_TIMEOUT_MS
    rig.worker.run_once()
    errors = [error_of(reply) for reply in rig.replies() if "error" in reply]
    assert errors == ["unknown_recommendation"] * 2


def test_with_recording_off_nothing_is_kept_and_nothing_waits(model_directory: Path) -> None:
    rig = Rig(model_directory, VERSION, impressions=ImpressionsSettings(lists=0))
    first = rig.answer({"user_id": "u"})
    assert error_of(next_page(rig, first, {"user_id": "u"})) == "unknown_recommendation"
    assert rig.store.shown([Viewer("user", "u")]) == [[]]


def test_a_store_that_refuses_what_was_shown_costs_no_answer(rig: Rig) -> None:
    rig.ask({"user_id": "u"})
    rig.worker.run_once()
    rig.store.failure = TransientError("the store is down")
    assert not rig.impressions.write_pending()
    rig.store.failure = None
    assert len(rig.replies()) == 1
    assert rig.worker.stats.shown_dropped == 1
    assert rig.impressions.write_pending(), "nothing is left to write"


def test_a_server_that_may_not_read_what_was_shown_answers_everything_else(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> None:
        raise SettingsError("no permission")

    monkeypatch.setattr(rig.store, "shown", refuse)
    rig.ask({"user_id": "u", "next_of": "r1"})
    rig.ask({"user_id": "v", "rotation": 1.0})
    rig.worker.run_once()
    rig.now_ms += LIST_TIMEOUT_MS
    rig.worker.run_once()
    replies = {reply["user_id"]: reply for reply in rig.replies()}
    assert error_of(replies["u"]) == "unknown_recommendation"
    assert "items" in replies["v"]
