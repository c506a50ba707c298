"""Users by taste: the scan agrees with the scores that these users' own answers have."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from indexer.build import build_model
from indexer.interactions import UserLikes, interactions_of
from indexer.recipes import DEFAULTS
from likewise.messages.ids import ItemId, ItemRow, UserId
from likewise.ranking.recipe import RANKERS
from likewise.ranking.scan import score_all
from likewise.ranking.similar_users import item_scores, users_for, users_like

if TYPE_CHECKING:
    from likewise.ranking.model import Model
    from likewise.ranking.recipe import RankerName

BLOCKS, USERS, ITEMS = 4, 12, 10


def block_likes() -> dict[UserId, set[ItemId]]:
    """Users of one block like most of the block's items, and nothing else."""
    rng = np.random.default_rng(1)
    return {
        UserId(f"b{block}-u{user:02}"): {
            ItemId(f"b{block}-i{item}") for item in np.flatnonzero(rng.random(ITEMS) < 0.6)
        }
        for block in range(BLOCKS)
        for user in range(USERS)
    }


def model_of(ranker: RankerName, **changes: float) -> Model:
    likes = {user: items for user, items in block_likes().items() if items}
    recipe = msgspec.structs.replace(DEFAULTS[ranker], **changes)
    return build_model(interactions_of([UserLikes(list(likes), list(likes.values()))]), recipe)


def likes_in(model: Model, row: int) -> set[ItemId]:
    start, end = model.user_items.indptr[row : row + 2]
    return {model.item_ids[item] for item in model.user_items.indices[start:end]}


@pytest.mark.parametrize("ranker", ["blend", "spectral", "cooccurrence"])
def test_the_scan_gives_the_scores_of_the_users_answers(ranker: RankerName) -> None:
    # With one ridge for all users, the scan is exact for everybody.
    model = model_of(ranker, ridge_exponent=0.0, rank=8)
    scores = score_all(model, model.user_items)
    for item in range(0, len(model.item_ids), 7):
        found = users_for(model, ItemRow(item), count=1_000)
        expected = np.where(model.user_items[:, [item]].toarray().ravel() > 0, 0, scores[:, item])
        assert set(found.rows.tolist()) == set(np.flatnonzero(expected > 1e-6).tolist())
        np.testing.assert_allclose(found.scores, expected[found.rows], rtol=1e-4, atol=1e-6)
        assert (np.diff(found.scores) <= 0).all()


@pytest.mark.parametrize("ranker", RANKERS)
def test_an_item_is_for_users_of_its_block_who_lack_it(ranker: RankerName) -> None:
    model = model_of(ranker)
    for item, item_id in enumerate(model.item_ids):
        lacking = [
            row
            for row in range(model.user_items.shape[0])
            if item_id not in likes_in(model, row)
            and any(liked[:2] == item_id[:2] for liked in likes_in(model, row))
        ]
        found = users_for(model, ItemRow(item), count=len(lacking)).rows.tolist()
        assert set(found) <= set(lacking)
        assert len(found) >= len(lacking) - 1, "nearly everybody of the block shares an item"


@pytest.mark.parametrize("ranker", RANKERS)
def test_users_of_one_block_are_alike_and_first_of_all_alike_to_themselves(
    ranker: RankerName,
) -> None:
    model = model_of(ranker)
    for row in range(0, model.user_items.shape[0], 5):
        liked = likes_in(model, row)
        rows, cosines = users_like(model, liked, count=USERS)
        assert cosines[0] == pytest.approx(1, abs=1e-4)
        assert cosines[rows.tolist().index(row)] == pytest.approx(1, abs=1e-4)
        block = next(iter(liked))[:2]
        assert all(next(iter(likes_in(model, other)))[:2] == block for other in rows)


def test_a_view_of_the_item_leaves_nobody_out() -> None:
    model = model_of("blend")
    before = users_for(model, ItemRow(3), count=1_000).rows.tolist()
    weights = model.user_items.copy()
    liker = int(weights[:, [3]].nonzero()[0][0])
    assert liker not in before
    place = weights.indptr[liker] + weights[[liker]].indices.tolist().index(3)
    weights.data[place] = 0.1
    viewed = replace(model, user_items=weights)
    assert liker in users_for(viewed, ItemRow(3), count=1_000).rows.tolist()


def test_item_scores_are_those_of_the_answer() -> None:
    model = model_of("blend")
    likes = [likes_in(model, row) for row in range(model.user_items.shape[0])]
    expected = score_all(model, model.user_items)[:, 3]
    np.testing.assert_allclose(item_scores(model, ItemRow(3), likes), expected, rtol=1e-5)
    assert item_scores(model, ItemRow(3), [set(), {ItemId("unknown")}]).tolist() == [0, 0]


def test_no_likes_and_no_users_give_no_candidates() -> None:
    model = model_of("blend")
    assert not len(users_like(model, [], count=3).rows)
    assert not len(users_like(model, [ItemId("unknown")], count=3).rows)
    nobody = build_model(interactions_of([]), DEFAULTS["blend"])
    assert nobody.user_norms.shape == (0,)
