"""Requests that ask for diversity or novelty, in one batch with others."""

from __future__ import annotations

import json
from typing import Any

import pytest

from likewise.messages.reply_routes import CORRELATION_HEADER
from likewise.store.port import Changes
from tests.serving_rig import (
    BLOCK_ITEMS,
    REPLIES,
    Rig,
    block_items,
    error_of,
    item,
    items_of,
    like,
    likes_but_one,
)

TWO_TASTES = [item(1, 0), item(1, 1), item(2, 0)]


def scores_of(reply: dict[str, Any]) -> list[float]:
    return [one["score"] for one in reply["items"]]


def test_a_diverse_answer_takes_from_every_taste_and_keeps_the_scores(rig: Rig) -> None:
    like(rig.store, "u", TWO_TASTES)
    plain = rig.answer({"user_id": "u", "count": 7})
    diverse = rig.answer({"user_id": "u", "count": 2, "diversity": 0.9})
    assert set(items_of(plain)[:3]) <= block_items(1)
    one, other = items_of(diverse)
    assert one in block_items(1)
    assert other in block_items(2)
    scores = dict(zip(items_of(plain), scores_of(plain), strict=True))
    assert scores_of(diverse) == pytest.approx([scores[one], scores[other]])


def test_a_request_without_options_gets_the_plain_ranking(rig: Rig) -> None:
    like(rig.store, "u", TWO_TASTES)
    plain = rig.answer({"user_id": "u", "count": 7})
    zeros = rig.answer({"user_id": "u", "count": 7, "diversity": 0, "novelty": 0.0})
    assert zeros["items"] == plain["items"]


def test_liked_items_may_be_included_and_excluded_or_retired_ones_may_not(rig: Rig) -> None:
    like(rig.store, "u", block_items(1))
    asked = {"user_id": "u", "count": BLOCK_ITEMS, "include_liked": True}
    again = rig.answer({**asked, "explain": True})
    assert again["source"] == "model"
    assert set(items_of(again)) == block_items(1)
    for one in again["items"]:
        shares = [reason["contribution"] for reason in one["because"]]
        assert shares == sorted(shares, reverse=True)
    rig.store.apply(Changes(retire={item(1, 1)}), {})
    left = rig.answer({**asked, "exclude": [item(1, 0)]})
    assert set(items_of(left)) & block_items(1) == block_items(1) - {item(1, 0), item(1, 1)}
    session = rig.answer({"liked": [item(2, 0)], "count": 50, "include_liked": True})
    assert item(2, 0) in items_of(session)


def test_an_item_is_never_similar_to_itself_and_to_what_is_liked_if_that_is_wanted(
    rig: Rig,
) -> None:
    like(rig.store, "u", block_items(1))
    asked = {"similar_to": item(1, 0), "user_id": "u", "count": 50}
    assert not block_items(1) & set(items_of(rig.answer(asked)))
    again = items_of(rig.answer({**asked, "include_liked": True}))
    assert block_items(1) & set(again) == block_items(1) - {item(1, 0)}


def test_no_popular_items_fill_up_the_answer_if_the_request_wants_none(rig: Rig) -> None:
    like(rig.store, "u", likes_but_one(1))
    filled = rig.answer({"user_id": "u", "count": 5})
    bare = rig.answer({"user_id": "u", "count": 5, "fill": False})
    assert len(items_of(filled)) == 5
    assert bare["items"] == [one for one in filled["items"] if one["score"]]
    assert items_of(bare) == [item(1, 0)]
    assert bare["source"] == "model"


@pytest.mark.parametrize("who", [{"user_id": "stranger"}, {"liked": []}, {"liked": ["unheard of"]}])
def test_without_evidence_and_filler_the_answer_is_empty(rig: Rig, who: dict[str, Any]) -> None:
    bare = rig.answer({**who, "fill": False, "diversity": 0.5})
    assert (bare["items"], bare["source"]) == ([], "popular")


def test_requests_of_one_batch_get_what_each_asked_for(rig: Rig) -> None:
    like(rig.store, "u", TWO_TASTES)
    asked: list[dict[str, Any]] = [
        {"user_id": "u", "count": 2},
        {"user_id": "u", "count": 2, "diversity": 0.9},
        {"user_id": "u", "count": 2, "novelty": 1, "explain": True},
        {"similar_to": item(3, 0), "count": 2, "diversity": 0.5},
        {"user_id": "stranger", "count": 5, "diversity": 1},
        {"user_id": "u", "diversity": 2},
    ]
    for number, body in enumerate(asked):
        rig.ask(body, correlation=bytes([number]))
    rig.worker.run_once()
    assert rig.worker.stats.batches == 1
    replies = {
        dict(record.headers)[CORRELATION_HEADER][0]: json.loads(record.value or b"")
        for record in rig.broker.records(REPLIES)
    }
    assert set(items_of(replies[0])) < block_items(1)
    assert {one.split(".")[0] for one in items_of(replies[1])} == {"c1", "c2"}
    for one in replies[2]["items"]:
        total = sum(because["contribution"] for because in one["because"])
        assert total == pytest.approx(one["score"], rel=1e-3)
    assert max(scores_of(replies[2])) < max(scores_of(replies[0])), "likes divide the scores"
    assert set(items_of(replies[3])) < block_items(3)
    assert len({one.split(".")[0] for one in items_of(replies[4])}) == BLOCK_ITEMS
    assert error_of(replies[5]) == "invalid_diversity"
