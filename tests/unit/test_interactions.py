from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from indexer.interactions import Interactions, UserLikes, interactions_of, replace_users
from likewise.messages.ids import ItemId, UserId
from tests.tables import assert_identical

if TYPE_CHECKING:
    from collections.abc import Mapping

Likes = dict[UserId, set[ItemId]]

USERS = st.sampled_from([UserId(name) for name in ("ann", "bob", "cleo", "é", "\n", "10", "9")])
ITEMS = st.sampled_from([ItemId(name) for name in ("x", "y", "z", "ß", "10", "9", "")])
LIKES = st.dictionaries(USERS, st.sets(ITEMS))


def interactions(likes: Mapping[UserId, set[ItemId]]) -> Interactions:
    return interactions_of([UserLikes(list(likes), list(likes.values()))])


def likes_in(table: Interactions) -> Likes:
    users, items = table.user_items.nonzero()
    likes: Likes = {user: set() for user in table.user_ids}
    for user, item in zip(users, items, strict=True):
        likes[table.user_ids[user]].add(table.item_ids[item])
    return likes


def test_a_like_is_a_one_in_the_row_of_its_user_and_the_column_of_its_item() -> None:
    table = interactions(
        {UserId("bob"): {ItemId("y"), ItemId("x")}, UserId("ann"): {ItemId("y"), ItemId("z")}}
    )
    assert table.user_ids == ["ann", "bob"]
    assert table.item_ids == ["x", "y", "z"]
    np.testing.assert_array_equal(table.user_items.toarray(), [[0, 1, 1], [1, 1, 0]])
    assert table.user_items.dtype == np.float32
    assert table.user_items.indices.dtype == np.int32
    assert table.user_items.has_sorted_indices
    assert table.likes == 4


def test_no_users_give_an_empty_matrix() -> None:
    assert interactions({}).user_items.shape == (0, 0)
    assert interactions({UserId("ann"): set()}).user_items.shape == (0, 0)
    assert interactions({UserId("ann"): set()}).user_ids == []


@given(LIKES)
def test_the_matrix_holds_every_like_and_nothing_else(likes: Likes) -> None:
    assert likes_in(interactions(likes)) == {user: items for user, items in likes.items() if items}


@given(st.permutations(["ann", "bob", "cleo", "dan", "eve"]), st.integers(1, 5), st.data())
def test_order_and_chunks_make_no_difference(
    order: list[UserId], chunk: int, data: st.DataObject
) -> None:
    likes = {user: data.draw(st.sets(ITEMS)) for user in order}
    chunks = [order[start : start + chunk] for start in range(0, len(order), chunk)]
    in_chunks = interactions_of(
        UserLikes(users, [likes[user] for user in users]) for users in chunks
    )
    assert_identical(in_chunks, interactions(dict(sorted(likes.items()))))


@given(LIKES, LIKES)
def test_replacing_changed_users_gives_what_reading_everybody_gives(
    before: Likes, changed: Likes
) -> None:
    replaced = replace_users(interactions(before), list(changed), interactions(changed))
    assert_identical(replaced, interactions({**before, **changed}))
