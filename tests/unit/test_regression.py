"""The ranker `ridge`: uncut, its scores are those of the regression in closed form."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from msgspec import structs

from benchmarks.synthetic import item_ids, synthetic_likes, user_ids
from indexer import regression
from indexer.build import build_model
from indexer.interactions import Interactions
from indexer.svd import normalise
from likewise.ranking import blend
from likewise.ranking.recipe import Recipe

if TYPE_CHECKING:
    from likewise.ranking.array_types import FloatArray

RIDGE = 2.0
RECIPE = Recipe(
    ranker="ridge",
    rank=12,
    ridge=RIDGE,
    ridge_exponent=0.0,
    query_exponent=0.15,
    score_exponent=0.05,
    similar_items=1_000,
)


def likes_of(users: int, items: int) -> Interactions:
    found = synthetic_likes(users, items, likes_per_user=6, seed=2)
    found = found[:, np.flatnonzero(found.sum(axis=0))]  # no column of a store is empty
    return Interactions(found, user_ids(users), item_ids(found.shape[1]))


def closed_form(
    likes: Interactions, query_weights: FloatArray, score_weights: FloatArray
) -> FloatArray:
    r = normalise(likes.user_items, 0.25, 0.25).toarray().astype(float)
    s = r.T @ r
    m = np.linalg.solve(s + RIDGE * np.eye(len(s)), s)
    scores: FloatArray = (likes.user_items.toarray() * query_weights) @ m * score_weights
    return scores


@pytest.mark.parametrize(("users", "items"), [(300, 150), (120, 200)])
def test_uncut_scores_are_those_of_the_regression(users: int, items: int) -> None:
    likes = likes_of(users, items)
    model = build_model(likes, RECIPE)
    assert (likes.user_items.shape[0] < len(likes.item_ids)) == (users < items)
    expected = closed_form(likes, model.query_weights, model.score_weights)
    scores = blend.scores(model, likes.user_items)
    unliked = likes.user_items.toarray() == 0  # what a like adds to its own item is never used
    assert scores[unliked] == pytest.approx(expected[unliked], rel=1e-3, abs=2e-5)


def test_a_cut_keeps_the_strongest_entries() -> None:
    likes = likes_of(300, 150)
    whole = build_model(likes, RECIPE).cooccurrence.toarray()
    cut = build_model(likes, structs.replace(RECIPE, similar_items=20)).cooccurrence.toarray()
    weights = build_model(likes, RECIPE).score_weights
    for row in range(len(whole)):
        kept = np.flatnonzero(cut[row])
        strongest = np.sort(np.abs(whole[row] / weights))[-20:]
        assert len(kept) <= 20
        assert np.sort(np.abs(cut[row, kept] / weights[kept])) == pytest.approx(strongest, rel=1e-4)


def test_beyond_the_size_of_an_inverse_links_are_those_of_a_blend(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    likes = likes_of(120, 200)
    recipe = structs.replace(RECIPE, similar_items=20)
    monkeypatch.setattr(regression, "LARGEST_INVERSE", 100)
    found = build_model(likes, recipe)
    expected = build_model(likes, structs.replace(recipe, ranker="blend"))
    assert np.array_equal(found.cooccurrence.toarray(), expected.cooccurrence.toarray())
