"""Requests for users: from the record to the reply."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from likewise.errors import ForeignDataError
from likewise.store.shown_port import Viewer
from tests.serving_rig import (
    BLOCK_ITEMS,
    BLOCKS,
    VERSION,
    Rig,
    error_of,
    item,
    like,
    likes_but_one,
    write_block_model,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def with_users(tmp_path: Path) -> Rig:
    """A server whose model holds user ids, each a block and the item that the user lacks."""
    write_block_model(tmp_path, VERSION, blocks=BLOCKS, user_ids=True)
    rig = Rig(tmp_path, VERSION)
    for block in range(BLOCKS):
        for missing in range(BLOCK_ITEMS):
            like(rig.store, f"{block}/{missing}", likes_but_one(block, missing))
    return rig


def test_an_item_has_the_users_who_would_like_it(with_users: Rig) -> None:
    reply = with_users.answer({"users_for": item(3, 2), "count": 3, "request_id": "r"})
    assert [one["user_id"] for one in reply["users"]] == ["3/2"]
    assert (reply["items"], reply["source"], reply["request_id"]) == ([], "model", "r")
    assert reply["model"] == {"version": VERSION, "age_s": 1.5}
    assert reply["recommendation_id"]


def test_a_user_has_users_of_the_same_taste(with_users: Rig) -> None:
    reply = with_users.answer({"users_like": "3/2", "count": BLOCK_ITEMS - 1})
    assert {one["user_id"] for one in reply["users"]} == {"3/0", "3/1", "3/3", "3/4"}
    assert with_users.store.shown([Viewer("user", "3/2")]) == [[]]


def test_a_model_without_user_ids_and_an_unknown_item_are_errors(rig: Rig, with_users: Rig) -> None:
    assert error_of(rig.answer({"users_for": item(3, 2)})) == "no_user_ids"
    assert error_of(with_users.answer({"users_for": "unknown"})) == "unknown_item"


def test_a_foreign_key_costs_one_such_request_its_answer(
    with_users: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def foreign(_: object) -> None:
        raise ForeignDataError("likewise did not write likes:3/2")

    with_users.ask({"users_like": "3/2"})
    with_users.ask({"user_id": "3/2", "count": 1})
    monkeypatch.setattr(with_users.store, "liked_items", foreign)
    with_users.worker.run_once()
    with_users.worker.run_once()  # the costly one is answered alone
    assert sorted("items" in reply for reply in with_users.replies()) == [False, True]
