"""Signals in answers: what is never shown, what counts more or less than a like, and `without`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from likewise.messages.ids import DISLIKE, HIDE, ItemId, SignalKind, UserId
from likewise.store.port import Changes, UserChange
from likewise.store.signals_port import SetChange
from serving.taste import weights_of
from tests.serving_rig import block_items, item, items_of, like, likes_but_one

if TYPE_CHECKING:
    from likewise.records import TopicPartition
    from likewise.store.port import Lookup
    from tests.serving_rig import Rig

A, B, C, D = (ItemId(one) for one in "abcd")
BUY, VIEW = SignalKind("buy"), SignalKind("view")


def signal(rig: Rig, user_id: str, kind: SignalKind, *items: ItemId) -> None:
    change = UserChange(signals={kind: SetChange(add={*items})})
    rig.store.apply(Changes(users={UserId(user_id): change}, kinds={kind}), {})


@pytest.mark.parametrize("kind", [DISLIKE, HIDE])
@pytest.mark.parametrize(
    "more", [{}, {"include_liked": True}, {"similar_to": item(3, 1)}, {"count": 1_000}]
)
def test_what_the_user_dislikes_or_hides_is_never_shown(
    rig: Rig, kind: SignalKind, more: dict[str, object]
) -> None:
    like(rig.store, "u", likes_but_one(3))
    before = items_of(rig.answer({"user_id": "u", **more}))
    assert item(3, 0) in before
    signal(rig, "u", kind, item(3, 0))
    assert item(3, 0) not in items_of(rig.answer({"user_id": "u", **more}))
    like(rig.store, "v", likes_but_one(3))
    assert item(3, 0) in items_of(rig.answer({"user_id": "v", **more}))


def test_a_dislike_moves_what_is_like_it_down_in_the_next_answer(rig: Rig) -> None:
    like(rig.store, "u", [item(3, 0), item(7, 0)])
    best = items_of(rig.answer({"user_id": "u", "count": 8}))
    assert {*best} == (block_items(3) | block_items(7)) - {item(3, 0), item(7, 0)}
    signal(rig, "u", DISLIKE, item(3, 1))
    after = items_of(rig.answer({"user_id": "u", "count": 7}))
    assert {*after[:4]} == block_items(7) - {item(7, 0)}


def test_a_hidden_item_says_nothing_about_taste(rig: Rig) -> None:
    like(rig.store, "u", [item(3, 0), item(7, 0)])
    before = rig.answer({"user_id": "u", "count": 8})["items"]
    signal(rig, "u", HIDE, item(3, 1))
    after = rig.answer({"user_id": "u", "count": 7})["items"]
    assert after == [one for one in before if one["item_id"] != item(3, 1)]


def test_a_user_with_dislikes_alone_is_not_shown_them(rig: Rig) -> None:
    disliked = items_of(rig.answer({"user_id": "u", "count": 3}))
    signal(rig, "u", DISLIKE, *map(ItemId, disliked))
    assert not {*items_of(rig.answer({"user_id": "u", "count": 1_000}))} & {*disliked}


def test_weights_differ_from_a_likes_where_a_signal_says_so() -> None:
    weights = {"buy": 3.0, "view": 0.1, "dislike": -0.5}
    assert weights_of([A], {HIDE: [A]}, weights) is None
    assert weights_of([A], {VIEW: [A]}, weights) is None, "a like counts more than a view"
    signals = {VIEW: [A, B, C, D], BUY: [A, B], DISLIKE: [B, D]}
    assert weights_of([A], signals, weights) == {A: 3.0, B: -0.5, C: 0.1, D: -0.5}
    assert weights_of([A], signals, weights, without=[A, D]) == {B: -0.5, C: 0.1}


def test_without_is_the_answer_that_the_user_would_get_without_those_likes(rig: Rig) -> None:
    like(rig.store, "u", [item(3, 0), item(7, 0)])
    like(rig.store, "v", [item(3, 0)])
    question = {"user_id": "u", "count": 4, "explain": True, "without": [item(7, 0), "unknown"]}
    counterfactual = rig.answer(question)
    assert counterfactual["items"] == rig.answer({**question, "user_id": "v"})["items"]
    everything = items_of(rig.answer({**question, "count": 1_000}))
    assert item(7, 0) not in everything, "the user still likes it"
    assert item(7, 1) in everything


def test_without_all_likes_the_answer_is_what_is_popular(rig: Rig) -> None:
    like(rig.store, "u", [item(3, 0)])
    assert rig.answer({"user_id": "u", "without": [item(3, 0)]})["source"] == "popular"


def test_without_signals_in_use_no_kind_is_read(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[object] = []
    lookup = rig.store.lookup

    def noted(users: list[UserId], partitions: list[TopicPartition], kinds: object) -> Lookup:
        read.append(kinds)
        return lookup(users, partitions)

    monkeypatch.setattr(rig.store, "lookup", noted)
    monkeypatch.setattr(rig.store, "signals", None)
    assert "items" in rig.answer({"user_id": "u"})
    assert read == [frozenset()]
