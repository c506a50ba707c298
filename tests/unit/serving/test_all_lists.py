"""The lists of all users are those that a server would answer with, and an interruption loses none."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest
from pyarrow import parquet

from likewise.cli.all_lists import Lister
from likewise.messages.ids import DISLIKE, ItemId, UserId
from likewise.messages.request_decoding import parse_request
from likewise.models.holder import load_model
from likewise.operations.files.lists import open_parts, write_part
from likewise.store.port import Changes, UserChange
from likewise.store.signals_port import SetChange
from serving.querying import QuerySettings
from tests.serving_rig import item, like, likes_but_one

if TYPE_CHECKING:
    from pathlib import Path

    from likewise.operations.files.lists import ListParts
    from tests.serving_rig import Rig

USERS = [UserId(f"u{number}") for number in range(9)]


@pytest.fixture
def users(rig: Rig) -> list[UserId]:
    for number, user in enumerate(USERS):
        like(rig.store, user, likes_but_one(number, number % 5))
    like(rig.store, "stranger", ["unknown"])
    change = UserChange(signals={DISLIKE: SetChange(add={item(0, 0)})})
    rig.store.apply(Changes(users={USERS[0]: change}, kinds={DISLIKE}), {})
    return [*USERS, UserId("stranger")]


def lister(rig: Rig, **options: Any) -> Lister:
    served = load_model(rig.directory, rig.version)
    request = parse_request({"user_id": "all", **options})
    return Lister(rig.store, served, request, QuerySettings(weights={"dislike": -0.5}))


def write(parts: ListParts, lister: Lister, *, at_most: int | None = None) -> None:
    for number, some in islice(parts.missing(), at_most):
        write_part(parts.path, number, lister.lists(some))


@pytest.mark.parametrize("options", [{"count": 3}, {"fill": False}, {"include_liked": True}])
def test_they_are_the_answers_of_a_server(
    rig: Rig, users: list[UserId], tmp_path: Path, options: dict[str, Any]
) -> None:
    path = tmp_path / "lists.parquet"
    parts = open_parts(path, {}, lambda: users, part_users=4)
    write(parts, lister(rig, **options))
    parts.finish()
    rows = parquet.read_table(path).to_pylist()
    for user in users:
        rig.ask({"user_id": user, **options})
    rig.worker.run_once()
    answers = {answer["user_id"]: answer for answer in rig.replies()}
    for user in users:
        answer = answers[user]
        ours = [row for row in rows if row["user_id"] == user]
        assert [row["rank"] for row in ours] == [*range(1, len(ours) + 1)]
        assert [row["item_id"] for row in ours] == [one["item_id"] for one in answer["items"]]
        assert [row["score"] for row in ours] == pytest.approx(
            [one["score"] for one in answer["items"]], rel=1e-5
        )
        assert {row["source"] for row in ours} <= {answer["source"]}
    assert item(0, 0) not in {row["item_id"] for row in rows if row["user_id"] == USERS[0]}


def test_an_interrupted_run_continues(rig: Rig, users: list[UserId], tmp_path: Path) -> None:
    path = tmp_path / "lists.parquet"
    whole = open_parts(path, {}, lambda: users, part_users=2)
    write(whole, lister(rig))
    whole.finish()
    expected = parquet.read_table(path)

    write(open_parts(path, {}, lambda: users, part_users=2), lister(rig), at_most=2)
    like(rig.store, "u8", [ItemId("liked meanwhile")])
    again = open_parts(path, {}, lambda: pytest.fail("the users are known"), part_users=2)
    assert again.written_users == 4
    write(again, lister(rig))
    again.finish()
    assert parquet.read_table(path).equals(expected)
