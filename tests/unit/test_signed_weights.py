"""Weights other than 1, and dislikes, through every ranker: sums of what each signal adds."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from benchmarks.synthetic import item_ids, synthetic_likes, user_ids
from indexer.build import build_model
from indexer.interactions import Interactions
from indexer.recipes import DEFAULTS
from likewise.ranking import blend, neighbours
from likewise.ranking.best_items import weighted_likes
from likewise.ranking.queries import Query, RowQuery
from likewise.ranking.recipe import RANKERS, RankerName
from likewise.ranking.recommend import recommend
from likewise.ranking.ridge import like_counts
from likewise.ranking.sampling import sampled_with_weights
from likewise.ranking.scan import score_all, score_some

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from likewise.messages.ids import ItemId
    from likewise.ranking.array_types import FloatArray
    from likewise.ranking.model import Model

LINEAR: tuple[RankerName, ...] = ("blend", "spectral", "cooccurrence")
LIKED = np.array([3, 8, 21, 40, 77], np.intp)
WEIGHTS = np.array([1, -0.5, 3, 0.1, -2], np.float32)


@cache
def model_of(ranker: RankerName, **numbers: float) -> Model:
    likes = synthetic_likes(400, 150, likes_per_user=12, seed=2)
    known = Interactions(likes, user_ids(400), item_ids(150))
    return build_model(known, structs.replace(DEFAULTS[ranker], rank=16, **numbers), seed=1)


def scores_of(model: Model, liked: NDArray[np.intp], weights: FloatArray) -> FloatArray:
    query = RowQuery(liked, liked, 1, weights=weights)
    return score_all(model, weighted_likes(model, [query])).ravel()


def rank_of(model: Model, items: list[ItemId], query: Query) -> dict[ItemId, int]:
    (answer,) = recommend(model, [query])
    places = {one.item_id: place for place, one in enumerate(answer.items)}
    return {item: places[item] for item in items}


@pytest.mark.parametrize("ranker", LINEAR)
def test_a_score_is_the_weighted_sum_of_what_each_like_adds(ranker: RankerName) -> None:
    model = model_of(ranker, ridge_exponent=0.0)
    alone = [scores_of(model, LIKED[[n]], np.ones(1, np.float32)) for n in range(len(LIKED))]
    expected = sum(weight * one for weight, one in zip(WEIGHTS, alone, strict=True))
    assert scores_of(model, LIKED, WEIGHTS) == pytest.approx(expected, rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("ranker", RANKERS)
def test_contributions_of_weighted_likes_add_up_to_the_score(ranker: RankerName) -> None:
    model = model_of(ranker)
    items = np.array([0, 5, 60, 149])
    shares = (neighbours if ranker == "neighbours" else blend).contributions(
        model, LIKED, WEIGHTS, items
    )
    expected = scores_of(model, LIKED, WEIGHTS)[items]
    assert shares.sum(axis=1) == pytest.approx(expected, rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("ranker", RANKERS)
def test_some_items_are_scored_as_all_of_them(ranker: RankerName) -> None:
    model = model_of(ranker)
    queries = [RowQuery(LIKED, LIKED, 1, weights=WEIGHTS), RowQuery(LIKED[:2], LIKED[:2], 1)]
    likes = weighted_likes(model, queries)
    items = np.array([0, 5, 8, 60, 149])
    expected = score_all(model, likes)[:, items]
    assert score_some(model, likes, items) == pytest.approx(expected, rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("ranker", RANKERS)
@pytest.mark.parametrize("limit", [0, 200_000], ids=["search", "scan"])
def test_weights_of_one_change_nothing(ranker: RankerName, limit: int) -> None:
    model = model_of(ranker)
    liked = [model.item_ids[row] for row in LIKED]
    plain = Query(liked, liked, 20, explain=3)
    weighted = Query(liked, liked, 20, explain=3, weights=dict.fromkeys(liked, 1.0))
    one, other = recommend(model, [plain, weighted], exact_items_limit=limit)
    assert one == other


@pytest.mark.parametrize("ranker", LINEAR)
def test_a_dislike_moves_what_is_like_it_down_and_is_named(ranker: RankerName) -> None:
    model = model_of(ranker)
    liked = [model.item_ids[row] for row in LIKED]
    (before,) = recommend(model, [Query(liked, liked, 10)])
    disliked = before.items[0].item_id
    only = scores_of(model, np.array([model.item_rows[disliked]]), np.ones(1, np.float32))
    shown = [one.item_id for one in before.items[1:]]
    nearest = sorted(shown, key=lambda item: -only[model.item_rows[item]])[:3]
    banned = [*liked, disliked]
    hidden = Query(liked, banned, 150)
    against = Query(liked, banned, 150, weights={disliked: -1.0}, explain=10)
    one, other = (rank_of(model, nearest, query) for query in (hidden, against))
    assert sum(other.values()) > sum(one.values())
    (after,) = recommend(model, [against])
    named = {item: share for ranked in after.items for item, share in ranked.because}
    assert named[disliked] < 0


@pytest.mark.parametrize("ranker", LINEAR)
def test_popular_items_that_a_dislike_speaks_against_come_last(ranker: RankerName) -> None:
    model = model_of(ranker)
    disliked = model.item_ids[model.popular_rows[-1]]
    (answer,) = recommend(model, [Query((), {disliked}, 149, weights={disliked: -1.0})])
    assert answer.source == "popular"
    scores = scores_of(model, model.popular_rows[-1:], np.array([-1], np.float32))
    against = [scores[model.item_rows[one.item_id]] < -1e-3 for one in answer.items]
    assert 0 < sum(against) < 149
    assert not any(against[: against.index(True)])
    assert all(one.score == 0 for one, bad in zip(answer.items, against, strict=True) if bad)


def test_dislikes_do_not_count_as_likes_of_the_ridge() -> None:
    model = model_of("blend")
    queries = [RowQuery(LIKED, LIKED, 1, weights=WEIGHTS), RowQuery(LIKED, LIKED, 1)]
    assert like_counts(weighted_likes(model, queries)).tolist() == [3, 5]


@given(st.integers(0, 400), st.integers(0, 9), st.integers(1, 50), st.integers(0, 99))
def test_a_sample_of_a_long_history_keeps_the_dislikes(
    likes: int, dislikes: int, most: int, seed: int
) -> None:
    draw = np.random.default_rng(seed)
    weights = draw.permutation(np.repeat([2, -1], [likes, dislikes])).astype(np.float32)
    rows = np.flatnonzero(weights)
    kept, kept_weights = sampled_with_weights(rows, weights, most)
    assert np.array_equal(kept_weights, weights[kept])
    assert (kept_weights < 0).sum() == (
        dislikes if likes + dislikes <= most else min(most, dislikes)
    )
    assert (kept_weights > 0).sum() == (likes if likes + dislikes <= most else min(most, likes))
    assert np.array_equal(kept, np.sort(kept))
