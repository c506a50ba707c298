from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from likewise.messages.reply_routes import CORRELATION_HEADER
from likewise.settings import ServingSettings
from likewise.store.port import Changes
from tests.serving_rig import (
    BLOCK_ITEMS,
    BLOCKS,
    REPLIES,
    SNAPSHOT_AT_MS,
    VERSION,
    Rig,
    block_items,
    error_of,
    item,
    items_of,
    like,
    likes_but_one,
)

if TYPE_CHECKING:
    from pathlib import Path

    from likewise.messages.ids import ItemId


def test_a_user_gets_what_like_minded_users_like(rig: Rig) -> None:
    like(rig.store, "u", likes_but_one(3, missing=2))
    reply = rig.answer({"user_id": "u", "count": 1, "request_id": "r1"})
    assert items_of(reply) == [item(3, 2)]
    assert reply["source"] == "model"
    assert reply["user_id"] == "u"
    assert reply["request_id"] == "r1"


def test_a_reply_names_the_model_and_its_age(rig: Rig) -> None:
    assert rig.answer({"user_id": "u"})["model"] == {"version": VERSION, "age_s": 1.5}


def test_a_model_from_a_clock_ahead_of_ours_has_age_zero(rig: Rig) -> None:
    rig.now_ms = SNAPSHOT_AT_MS - 5_000
    assert rig.answer({"user_id": "u"})["model"]["age_s"] == 0.0


def test_users_of_one_batch_are_never_mixed_up(rig: Rig) -> None:
    expected = {}
    for number in range(200):
        block, missing = number % BLOCKS, number % BLOCK_ITEMS
        like(rig.store, f"u{number}", likes_but_one(block, missing))
        rig.ask({"user_id": f"u{number}", "count": 1}, correlation=number.to_bytes(2, "big"))
        expected[number] = item(block, missing)
    rig.worker.run_once()
    records = rig.broker.records(REPLIES)
    assert rig.worker.stats.batches == 1
    assert len(records) == 200
    for record in records:
        reply = json.loads(record.value or b"")
        number = int.from_bytes(dict(record.headers)[CORRELATION_HEADER], "big")
        assert reply["user_id"] == f"u{number}"
        assert record.key == f"u{number}".encode()
        assert items_of(reply) == [expected[number]]


def test_what_was_liked_after_the_model_was_built_is_not_recommended(rig: Rig) -> None:
    like(rig.store, "u", likes_but_one(3))
    assert items_of(rig.answer({"user_id": "u"}))[0] == item(3, 0)
    like(rig.store, "u", [item(3, 0)])
    assert item(3, 0) not in items_of(rig.answer({"user_id": "u", "count": 1000}))


def test_a_user_without_likes_gets_what_is_popular(rig: Rig) -> None:
    reply = rig.answer({"user_id": "stranger", "count": 7})
    assert reply["source"] == "popular"
    assert len(items_of(reply)) == 7


def test_a_user_whose_likes_the_model_does_not_know_gets_what_is_popular(rig: Rig) -> None:
    like(rig.store, "u", ["made yesterday"])
    assert rig.answer({"user_id": "u"})["source"] == "popular"


def test_an_anonymous_session_is_ranked_by_what_it_likes(rig: Rig) -> None:
    reply = rig.answer({"liked": likes_but_one(5, missing=4), "count": 1})
    assert items_of(reply) == [item(5, 4)]
    assert "user_id" not in reply


def test_an_empty_session_gets_what_is_popular(rig: Rig) -> None:
    assert rig.answer({"liked": []})["source"] == "popular"


def test_similar_items_come_from_the_items_block_and_not_the_item_itself(rig: Rig) -> None:
    reply = rig.answer({"similar_to": item(7, 1), "count": BLOCK_ITEMS - 1})
    assert set(items_of(reply)) == block_items(7) - {item(7, 1)}


def test_similar_items_for_a_user_leave_out_what_the_user_likes(rig: Rig) -> None:
    like(rig.store, "u", [item(7, 0)])
    given_items = items_of(rig.answer({"similar_to": item(7, 1), "user_id": "u", "count": 1000}))
    best = given_items[: BLOCK_ITEMS - 2]
    assert set(best) == block_items(7) - {item(7, 0), item(7, 1)}
    assert item(7, 0) not in given_items


def test_similar_to_an_unknown_item_is_an_error(rig: Rig) -> None:
    assert error_of(rig.answer({"similar_to": "nobody knows it"})) == "unknown_item"


def test_excluded_items_are_left_out(rig: Rig) -> None:
    like(rig.store, "u", likes_but_one(3))
    assert item(3, 0) not in items_of(
        rig.answer({"user_id": "u", "exclude": [item(3, 0)], "count": 1000})
    )


def test_retired_items_are_left_out_until_they_are_restored(rig: Rig) -> None:
    like(rig.store, "u", likes_but_one(3))
    rig.store.apply(Changes(retire={item(3, 0)}), {})
    assert item(3, 0) not in items_of(rig.answer({"user_id": "u", "count": 1000}))
    rig.store.apply(Changes(restore={item(3, 0)}), {})
    assert items_of(rig.answer({"user_id": "u"}))[0] == item(3, 0)


def test_an_explanation_names_the_users_own_likes(rig: Rig) -> None:
    like(rig.store, "u", likes_but_one(3))
    [best] = rig.answer({"user_id": "u", "count": 1, "explain": True})["items"]
    named = {share["item_id"] for share in best["because"]}
    assert named <= set(likes_but_one(3))
    assert len(named) == ServingSettings().explain_limit


def test_nothing_is_explained_unless_asked_for(rig: Rig) -> None:
    like(rig.store, "u", likes_but_one(3))
    assert "because" not in rig.answer({"user_id": "u"})["items"][0]


_SOME_ITEMS = st.sets(
    st.builds(item, st.integers(0, BLOCKS - 1), st.integers(0, BLOCK_ITEMS - 1)), max_size=20
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    users=st.lists(st.tuples(_SOME_ITEMS, _SOME_ITEMS, st.integers(1, 80)), max_size=12),
    retired=_SOME_ITEMS,
)
def test_nobody_gets_what_is_liked_excluded_or_retired(
    model_directory: Path,
    users: list[tuple[set[ItemId], set[ItemId], int]],
    retired: set[ItemId],
) -> None:
    rig = Rig(model_directory, VERSION)
    rig.store.apply(Changes(retire=retired), {})
    for number, (likes, exclude, count) in enumerate(users):
        like(rig.store, f"u{number}", likes)
        rig.ask({"user_id": f"u{number}", "count": count, "exclude": sorted(exclude)})
    rig.worker.run_once()
    replies = {reply["user_id"]: reply for reply in rig.replies()}
    assert len(replies) == len(rig.replies()) == len(users)
    for number, (likes, exclude, count) in enumerate(users):
        given_items = items_of(replies[f"u{number}"])
        left = BLOCKS * BLOCK_ITEMS - len(likes | exclude | retired)
        assert not {*given_items} & (likes | exclude | retired)
        assert len(given_items) == len({*given_items}) == min(count, left)


def test_outcomes_and_latencies_are_counted(rig: Rig) -> None:
    latencies: list[float] = []
    rig.worker.stats.on_latency_s = latencies.append
    like(rig.store, "u", likes_but_one(0))
    rig.ask({"user_id": "u"})
    rig.ask({"user_id": "stranger"})
    rig.ask({"similar_to": "unknown"})
    rig.ask(b"no JSON")
    rig.now_ms += 250
    rig.worker.run_once()
    assert rig.worker.stats.replies == {
        "model": 1, "popular": 1, "unknown_item": 1, "not_json": 1,
    }  # fmt: skip
    assert latencies == [0.25] * 4
    assert rig.worker.stats.model_version == VERSION
    assert rig.worker.stats.model_snapshot_at_ms == SNAPSHOT_AT_MS
