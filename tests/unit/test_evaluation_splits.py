"""Dividing likes: everybody's own last ones are held out, and nothing depends on the order read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from likewise.evaluation.errors import EvaluationError
from likewise.evaluation.likes.held_out import hold_out
from likewise.evaluation.likes.splits import divide
from likewise.evaluation.likes.table import LikeCollector, LikeTable, Split, Stamp
from likewise.messages.events import ForgetUser, Like, RetireItem, Unlike
from likewise.messages.ids import ItemId, UserId

if TYPE_CHECKING:
    from collections.abc import Iterable

Row = tuple[str, str, Stamp]


def table_of(rows: Iterable[Row]) -> LikeTable:
    collector = LikeCollector()
    for user, item, stamp in rows:
        collector.add(Like(UserId(user), ItemId(item)), stamp)
    return collector.table()


def timed_rows(users: int = 5, likes: int = 10) -> list[Row]:
    """Each user likes i0, i1, … in this order of time."""
    return [
        (f"u{user}", f"i{number}", Stamp(time_ms=1_000 * number + user))
        for user in range(users)
        for number in range(likes)
    ]


def in_split(
    likes: LikeTable, splits: np.ndarray[tuple[int], np.dtype[np.int8]], split: Split
) -> list[str]:
    items = likes.interactions.user_items.indices[splits == split]
    return [likes.interactions.item_ids[item] for item in items]


def test_by_time_the_last_fifth_is_tested_and_the_tenth_before_it_validates() -> None:
    likes = table_of(timed_rows())
    splits, origin = divide(likes, seed=1)
    assert origin == "time"
    assert set(in_split(likes, splits, Split.TEST)) == {"i8", "i9"}
    assert set(in_split(likes, splits, Split.VALID)) == {"i7"}
    assert (splits == Split.TEST).sum() == 10


def test_without_times_every_user_gives_a_tenth_to_each_at_random() -> None:
    likes = table_of((user, item, Stamp()) for user, item, _ in timed_rows(users=40))
    splits, origin = divide(likes, seed=1)
    assert origin == "random"
    for split in (Split.VALID, Split.TEST):
        assert np.bincount(likes.users[splits == split]).tolist() == [1] * 40
        assert len(set(in_split(likes, splits, split))) > 5


def test_likes_of_which_one_has_no_time_are_divided_at_random() -> None:
    assert divide(table_of([*timed_rows(), ("u1", "i99", Stamp())]), seed=1).origin == "random"


@pytest.mark.parametrize("seed", range(3))
def test_one_seed_gives_one_split_in_whatever_order_likes_are_read(seed: int) -> None:
    rows = [(user, item, Stamp()) for user, item, _ in timed_rows(users=20)]
    one, other = table_of(rows), table_of(reversed(rows))
    assert np.array_equal(divide(one, seed=seed).splits, divide(other, seed=seed).splits)
    assert not np.array_equal(divide(one, seed=seed).splits, divide(one, seed=seed + 1).splits)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=20), st.booleans())
def test_every_user_with_three_likes_is_trained_validated_and_tested(
    lengths: list[int], timed: bool
) -> None:
    lengths = [*lengths, 3]
    likes = table_of(
        (f"u{user}", f"i{number}", Stamp(number if timed else None))
        for user, length in enumerate(lengths)
        for number in range(length)
    )
    splits, _ = divide(likes, seed=0)
    for user in range(len(likes.interactions.user_ids)):
        mine = splits[likes.users == user]
        assert set(mine) == (set(Split) if len(mine) >= 3 else {Split.TRAIN})


def test_a_division_that_the_source_brings_along_is_kept() -> None:
    rows = [("u1", f"i{split}", Stamp(split=split)) for split in Split]
    splits, origin = divide(table_of(rows), seed=0)
    assert origin == "column"
    assert splits.tolist() == [Split.TRAIN, Split.VALID, Split.TEST]


def test_validation_is_taken_out_of_train_where_there_is_none() -> None:
    rows = [
        (user, item, Stamp(time.time_ms, Split.TEST if item == "i0" else Split.TRAIN))
        for user, item, time in timed_rows()
    ]
    likes = table_of(rows)
    splits, origin = divide(likes, seed=0)
    assert origin == "column, valid taken out of train"
    assert set(in_split(likes, splits, Split.TEST)) == {"i0"}
    assert in_split(likes, splits, Split.VALID) == ["i9"] * 5


@pytest.mark.parametrize(
    "rows",
    [[], [("u1", "i1", Stamp())], [("u1", f"i{n}", Stamp(split=Split.TEST)) for n in range(9)]],
)
def test_likes_too_few_to_divide_are_refused(rows: list[Row]) -> None:
    with pytest.raises(EvaluationError, match="no like is in"):
        divide(table_of(rows), seed=0)


def test_what_is_taken_back_or_forgotten_is_not_evaluated() -> None:
    collector = LikeCollector()
    a, b, x = UserId("a"), UserId("b"), ItemId("x")
    for event in (Like(a, x), Like(b, x), Unlike(a, x), RetireItem(x), Like(a, ItemId("y"))):
        collector.add(event, Stamp(1))
    assert collector.table().interactions.user_ids == ["a", "b"]
    collector.add(ForgetUser(b), Stamp(2))
    table = collector.table()
    assert table.interactions.user_ids == ["a"]
    assert table.interactions.item_ids == ["y"]


def test_a_like_again_after_an_unlike_has_the_later_time_and_a_repeated_one_the_first() -> None:
    collector = LikeCollector()
    one, other = Like(UserId("a"), ItemId("x")), Like(UserId("a"), ItemId("y"))
    collector.add(one, Stamp(1))
    collector.add(one, Stamp(2))
    collector.add(other, Stamp(3))
    collector.add(Unlike(UserId("a"), ItemId("y")), Stamp(4))
    collector.add(other, Stamp(5))
    times = collector.table().times_ms
    assert times is not None
    assert times.tolist() == [1, 5]


def test_items_and_users_unknown_to_the_fit_count_but_can_not_be_found() -> None:
    likes = table_of(
        [
            ("known", "a", Stamp(split=Split.TRAIN)),
            ("known", "b", Stamp(split=Split.TEST)),
            ("known", "new", Stamp(split=Split.TEST)),
            ("other", "b", Stamp(split=Split.TRAIN)),
            ("stranger", "a", Stamp(split=Split.TEST)),
        ]
    )
    assert likes.splits is not None
    held_out = hold_out(likes, likes.splits, fit=[Split.TRAIN, Split.VALID], wanted=Split.TEST)
    assert held_out.fit.item_ids == ["a", "b"]
    assert held_out.user_rows.tolist() == [0, -1]
    assert held_out.wanted.toarray().tolist() == [[0, 1], [1, 0]]
    assert held_out.wanted_counts.tolist() == [2, 1]
    assert [rows.tolist() for rows in held_out.liked()] == [[0], []]
    assert held_out.activity.tolist() == [1, 0]
