"""Excluded users: in the file, in the indexer, and in `evaluate`."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.exclusion import Exclusion
from indexer.interactions import UserLikes, interactions_of
from indexer.progress import Unwatched
from indexer.recipes import DEFAULTS
from indexer.snapshot import Snapshot
from likewise.errors import SettingsError
from likewise.evaluation.errors import EvaluationError
from likewise.evaluation.exclusion import ExclusionEffect, effect_of_exclusion, without_users
from likewise.evaluation.likes.splits import divide
from likewise.evaluation.likes.table import LIKE, LikeCollector, Stamp
from likewise.messages.events import Like, Signal
from likewise.messages.ids import ItemId, SignalKind, UserId
from likewise.operations.files.errors import LikeFileError
from likewise.operations.files.user_lists import read_user_list, write_user_list
from tests.worlds import START_MS, World, world_of_people

if TYPE_CHECKING:
    from pathlib import Path

    from likewise.evaluation.likes.table import LikeTable

ids = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40).filter(
    lambda text: len(text.encode()) <= 256
)


@given(users=st.sets(ids, max_size=20), remark=st.sampled_from(["", "of Tuesday"]))
def test_any_ids_survive_a_file(
    tmp_path_factory: pytest.TempPathFactory, users: set[str], remark: str
) -> None:
    path = tmp_path_factory.mktemp("list") / "users.txt"
    write_user_list(path, sorted(map(UserId, users)), [remark])
    assert read_user_list(path) == users


def test_a_list_may_be_written_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "users.txt"
    path.write_text('\ufeffann\n\n# bots of Tuesday\n  bob  \r\n"quoted \\n id"\n#5\n')
    assert read_user_list(path) == {"ann", "bob", "quoted \n id", "#5"}
    path.write_text("ann\n" + "x" * 300)
    with pytest.raises(LikeFileError, match="line 2 is not a user id"):
        read_user_list(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(LikeFileError, match="not UTF-8"):
        read_user_list(path)


def snapshot() -> Snapshot:
    likes = {"ann": ["a", "b"], "bot": ["b", "c"], "cy": ["a"]}
    users = UserLikes(
        [UserId(one) for one in likes], [[*map(ItemId, each)] for each in likes.values()]
    )
    return Snapshot(interactions_of([users]), 1, True, [UserId("bot")])


def test_excluded_users_are_left_out_until_the_file_says_otherwise(tmp_path: Path) -> None:
    path, whole = tmp_path / "users.txt", snapshot()
    path.write_text("bot\nnobody\n")
    exclusion = Exclusion(path)
    left = exclusion.applied_to(whole)
    assert (left.interactions.user_ids, left.interactions.item_ids) == (["ann", "cy"], ["a", "b"])
    assert (left.excluded, left.taken) == (1, whole.taken)

    path.write_text("")  # reversible
    os.utime(path, ns=(1, 1))
    again = exclusion.applied_to(whole)
    assert (again.interactions.user_ids, again.excluded) == (["ann", "bot", "cy"], 0)

    path.write_text("ann\n")
    assert exclusion.applied_to(whole).interactions.user_ids == ["bot", "cy"]
    path.unlink()  # by accident: those of before stay out
    assert exclusion.applied_to(whole).interactions.user_ids == ["bot", "cy"]


def test_without_a_file_nothing_is_done_and_a_missing_one_stops_the_start(tmp_path: Path) -> None:
    whole = snapshot()
    assert Exclusion(None).applied_to(whole) is whole
    with pytest.raises(SettingsError, match="excluded_users_file"):
        Exclusion(tmp_path / "missing")


def test_everybody_may_be_excluded(tmp_path: Path) -> None:
    path = tmp_path / "users.txt"
    path.write_text("ann\nbot\ncy\n")
    left = Exclusion(path).applied_to(snapshot())
    assert left.interactions.user_items.shape == (0, 0)


def test_a_table_without_users_is_that_of_the_others() -> None:
    collector, others = LikeCollector(), LikeCollector()
    for number, (user, item) in enumerate([("a", "x"), ("bot", "y"), ("b", "x"), ("bot", "x")]):
        for event in (
            Like(UserId(user), ItemId(item)),
            Signal(UserId(user), ItemId(item), SignalKind("buy")),
        ):
            collector.add(event, Stamp(number))
            if user != "bot":
                others.add(event, Stamp(number))
    left, expected = without_users(collector.table(LIKE), {UserId("bot")}), others.table(LIKE)
    for mine, theirs in (
        (left, expected),
        *zip(left.others.values(), expected.others.values(), strict=True),
    ):
        assert mine.interactions.user_ids == theirs.interactions.user_ids
        assert mine.interactions.item_ids == theirs.interactions.item_ids
        assert np.array_equal(
            mine.interactions.user_items.toarray(), theirs.interactions.user_items.toarray()
        )
        assert mine.times_ms is not None
        assert theirs.times_ms is not None
        assert mine.times_ms.tolist() == theirs.times_ms.tolist()


def poisoned(world: World, bots: int) -> LikeTable:
    """Add bots that like popular items together with the same 15 that nobody likes."""
    table = world.table()
    popular = np.argsort(-np.bincount(table.interactions.user_items.indices))[:60]
    rare = [ItemId(f"rare {number}") for number in range(15)]
    for number in range(bots):
        user = UserId(f"bot {number}")
        liked = [
            table.interactions.item_ids[row] for row in world.rng.choice(popular, 30, replace=False)
        ]
        world.likes += [(user, item, START_MS) for item in (*liked, *rare)]
        world.bots[user] = "push"
    return world.table()


def effect(likes: LikeTable, excluded: set[UserId]) -> ExclusionEffect:
    recipe = DEFAULTS["cooccurrence"]
    division = divide(likes, seed=0)
    return effect_of_exclusion(
        likes, division, recipe, {}, excluded, k=10, seed=0, progress=Unwatched()
    )


def test_the_effect_of_excluding_bots_is_measured_on_everybody_else() -> None:
    world = world_of_people(3, users=600, items=400, each=25)
    likes = poisoned(world, 250)
    found = effect(likes, set(world.bots) | {UserId("unknown")})
    assert (found.listed, found.found, found.likes) == (251, 250, 250 * 45)
    people = {user for user, _, _ in world.likes} - world.bots.keys()
    assert 0 < found.users <= len(people)
    assert found.without["ndcg"] > found.including["ndcg"]
    assert found.verdict == "helps"
    low, high = found.difference["ndcg"]
    assert low < found.without["ndcg"] - found.including["ndcg"] < high


def test_excluding_nobody_changes_nothing_and_excluding_everybody_is_refused() -> None:
    likes = world_of_people(3, users=200, items=200).table()
    found = effect(likes, set())
    assert found.including == found.without
    assert found.verdict == "no clear difference"
    with pytest.raises(EvaluationError, match="is excluded"):
        effect(replace(likes), set(likes.interactions.user_ids))
