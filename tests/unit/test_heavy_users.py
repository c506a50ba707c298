"""One user who likes everything: what they cost is bounded, in a build and in an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from scipy import sparse

from benchmarks.synthetic import item_ids, synthetic_likes, user_ids
from indexer import gains, links, rows
from indexer.build import build_model
from indexer.factors import factorise
from indexer.gains import Gains
from indexer.interactions import Interactions
from indexer.leave_out import leave_out
from indexer.recipes import DEFAULTS, recipe_of
from indexer.steps import Steps
from likewise.ranking.queries import Query, as_csr
from likewise.ranking.recipe import RANKERS, RankerName, Recipe
from likewise.ranking.recommend import recommend
from likewise.ranking.sampling import bounded, sampled
from likewise.settings import ModelSettings

if TYPE_CHECKING:
    from typing import Any

    from likewise.ranking.model import Model

MOST = 60
ITEMS = 1_200


@pytest.fixture(scope="module")
def with_heavy_user() -> Interactions:
    """Return the likes of 300 users, and of a last one who likes all items."""
    some = synthetic_likes(300, ITEMS, likes_per_user=12, seed=4)
    everything = np.ones((1, ITEMS), np.float32)
    likes = sparse.csr_array(sparse.vstack([some, sparse.csr_array(everything)]))
    return Interactions(likes, user_ids(301), item_ids(ITEMS))


def recipe_for(ranker: RankerName) -> Recipe:
    return structs.replace(DEFAULTS[ranker], max_likes_per_user=MOST, rank=16)


class Work:
    """Counts the products of pairs of likes that the rows of ``R'R`` are added up from."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.products = 0
        original = links.cut_rows

        def counting(normalised: Any, cut: links.Cut, keep: int) -> links.SparsePart:
            self.products += int(np.square(np.diff(normalised.indptr).astype(np.int64)).sum())
            return original(normalised, cut, keep)

        monkeypatch.setattr(rows, "cut_rows", counting)


@pytest.mark.parametrize("ranker", ["blend", "cooccurrence"])
def test_who_likes_everything_adds_no_more_to_a_build_than_the_bound(
    ranker: RankerName, with_heavy_user: Interactions, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = Work(monkeypatch)
    recipe = recipe_for(ranker)
    usual = with_heavy_user.user_items[:300]
    factorise(usual, recipe, seed=0, steps=Steps())
    without, work.products = work.products, 0
    factorise(with_heavy_user.user_items, recipe, seed=0, steps=Steps())
    assert without < work.products <= without + MOST**2
    assert without + ITEMS**2 > 10 * work.products  # as it would be


@pytest.mark.parametrize("ranker", RANKERS)
@pytest.mark.parametrize("exact_items_limit", [1_000_000, 0], ids=["scan", "search"])
def test_an_answer_goes_by_a_sample_of_the_likes_and_leaves_out_all_of_them(
    ranker: RankerName,
    exact_items_limit: int,
    with_heavy_user: Interactions,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = build_model(with_heavy_user, recipe_for(ranker))
    asked: list[int] = []

    def counting(liked: Any, n_items: int) -> Any:
        asked.extend(len(rows) for rows in liked)
        return as_csr(liked, n_items)

    monkeypatch.setattr("likewise.ranking.best_items.as_csr", counting)
    unliked = set(model.item_ids[::8])
    liked = set(model.item_ids) - unliked
    queries = [Query(liked, liked, 40, explain=5), Query(liked, liked, 40, explain=ITEMS)]
    few, all_of_them = recommend(model, queries, exact_items_limit=exact_items_limit)
    assert asked == [MOST, MOST]
    for answer in (few, all_of_them):
        assert answer.source == "model"
        assert {one.item_id for one in answer.items} <= unliked
    reasons = {reason for one in all_of_them.items for reason, _ in one.because}
    assert reasons <= liked
    assert 0 < len(reasons) <= MOST
    for one in all_of_them.items:
        if one.score:
            added = sum(share for _, share in one.because)
            assert added >= one.score * 0.98  # what speaks against the item is not named


def test_a_model_counts_all_likes_where_they_cost_nothing(with_heavy_user: Interactions) -> None:
    model = build_model(with_heavy_user, recipe_for("blend"))
    counts = np.bincount(with_heavy_user.user_items.indices, minlength=ITEMS)
    assert np.array_equal(model.item_counts, counts)
    assert model.user_items.nnz == with_heavy_user.likes


def test_the_choice_of_a_recipe_samples_as_an_answer_does(
    with_heavy_user: Interactions, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe_for("blend")
    held_out = leave_out(with_heavy_user.user_items, seed=0)
    held_out = held_out._replace(users=np.array([300]), items=np.array([5]))
    factors = factorise(held_out.rest, recipe, seed=0, steps=Steps())
    asked: list[int] = []
    original = gains._Folded

    def counting(queries: Any, *given: Any) -> gains._Folded:
        asked.append(queries.nnz)
        return original(queries, *given)

    monkeypatch.setattr(gains, "_Folded", counting)
    Gains(held_out, lambda _: factors, recipe.max_likes_per_user).of([recipe], range(1))
    assert asked == [MOST]


def test_search_goes_over_what_little_is_left_to_recommend(with_heavy_user: Interactions) -> None:
    model: Model = build_model(with_heavy_user, recipe_for("spectral"))
    liked = set(model.item_ids[10:])
    query = Query(liked, liked, 5)
    assert recommend(model, [query], exact_items_limit=0) == recommend(model, [query])


@given(st.sets(st.integers(0, 5_000), max_size=300), st.integers(1, 300), st.integers(0, 9))
def test_a_sample_is_part_of_the_likes_and_stays_the_same(
    rows: set[int], most: int, seed: int
) -> None:
    liked = np.array(sorted(rows), np.intp)
    sample = sampled(liked, most, seed=seed)
    assert len(sample) == min(most, len(liked))
    assert np.array_equal(sample, np.sort(sample))
    assert set(sample.tolist()) <= rows
    assert np.array_equal(sample, sampled(liked, most, seed=seed))
    if len(liked) > 1:
        without = sampled(liked[1:], most, seed=seed)
        assert len(set(without.tolist()) - set(sample.tolist())) <= 1


def test_samples_of_other_users_are_others_and_even() -> None:
    likes = sparse.csr_array(np.ones((400, 100), np.float32))
    kept = bounded(likes, 20)
    assert np.diff(kept.indptr).tolist() == [20] * 400
    times = np.bincount(kept.indices, minlength=100)
    assert 40 < times.min() <= times.max() < 130  # 80, but for chance: within 5 deviations of 8
    assert bounded(likes, 100) is likes


def test_the_bound_is_a_setting() -> None:
    settings = ModelSettings(ranker="blend", max_likes_per_user=7)
    assert recipe_of(settings).max_likes_per_user == 7
    assert recipe_of(ModelSettings()).max_likes_per_user == 2_000
