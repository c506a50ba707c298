"""`ranker=auto`: what is held out stays out, and the default yields only to something better."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from msgspec import structs
from scipy import sparse

from indexer.build import assemble, build_model
from indexer.candidates import candidates, expected_best
from indexer.choice import build_best, chosen
from indexer.factors import SharedFactors
from indexer.gains import Gains, _gains
from indexer.interactions import Interactions, UserLikes, interactions_of
from indexer.leave_out import leave_out
from indexer.racing import Race, of_users, race
from indexer.recipes import DEFAULTS
from indexer.service import building
from indexer.steps import Steps
from indexer.warm_start import WarmStart
from likewise.messages.ids import ItemId, UserId
from likewise.models.files import write_model
from likewise.models.versions import new_version
from likewise.ranking.array_types import empty_matrix
from likewise.ranking.queries import Query
from likewise.ranking.recommend import recommend
from likewise.settings import ModelSettings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from likewise.ranking.array_types import FloatArray
    from likewise.ranking.recipe import Recipe
    from likewise.settings.types import Effort


def likes_of_many(users: int = 400, seed: int = 0) -> Interactions:
    """Users of ten tastes, each with a few of the taste's twenty items and one item of chance."""
    rng = np.random.default_rng(seed)
    names = [UserId(f"u{user}") for user in range(users)]
    likes = [
        {ItemId(f"t{user % 10}-{n}") for n in rng.permutation(20)[:8]}
        | {ItemId(f"t{rng.integers(10)}-{rng.integers(20)}")}
        for user in range(users)
    ]
    return interactions_of([UserLikes(names, likes)])


def test_one_like_of_each_user_is_held_out() -> None:
    whole = likes_of_many().user_items
    held_out = leave_out(whole, seed=1)
    difference = (whole - held_out.rest).tocoo()
    difference.eliminate_zeros()
    taken = sorted(zip(difference.row, difference.col, strict=True))
    assert taken == sorted(zip(held_out.users, held_out.items, strict=True))
    assert sorted(held_out.users) == list(range(400))


def test_of_few_users_a_tenth_of_the_likes_is_held_out() -> None:
    whole = sparse.csr_array(np.ones((20, 45), np.float32))
    held_out = leave_out(whole, seed=1)
    assert np.bincount(held_out.users).tolist() == [4] * 20
    assert len(set(zip(held_out.users, held_out.items, strict=True))) == 80
    assert held_out.rest.nnz == whole.nnz - 80


def test_no_user_is_left_without_likes() -> None:
    few = sparse.csr_array(np.tril(np.ones((300, 4), np.float32)))
    held_out = leave_out(few, seed=1)
    assert np.diff(held_out.rest.indptr)[held_out.users].min() >= 2


def test_the_same_seed_holds_out_the_same_likes() -> None:
    whole = likes_of_many().user_items
    assert np.array_equal(leave_out(whole, seed=5).items, leave_out(whole, seed=5).items)
    assert not np.array_equal(leave_out(whole, seed=5).users, leave_out(whole, seed=6).users)


def test_likes_held_out_rank_high_where_taste_is_plain_and_low_where_it_is_not() -> None:
    recipe = DEFAULTS["blend"]
    plain = leave_out(likes_of_many().user_items, seed=1)
    shuffled = plain._replace(items=np.random.default_rng(0).integers(0, 200, len(plain.items)))
    factors = SharedFactors(plain.rest, recipe, seed=0, steps=Steps()).of
    everything = range(len(plain.items))
    assert Gains(plain, factors, 2_000).of([recipe], everything).mean() > 0.5
    assert Gains(shuffled, factors, 2_000).of([recipe], everything).mean() < 0.15


def test_the_gain_is_that_of_the_rank_the_serving_code_gives() -> None:
    interactions = likes_of_many()
    held_out = leave_out(interactions.user_items, seed=2)
    rest = Interactions(held_out.rest, interactions.user_ids, interactions.item_ids)
    settings = ModelSettings(ranker="auto")
    recipe = candidates(settings, interactions.user_items)[0]
    factors = SharedFactors(held_out.rest, recipe, seed=0, steps=Steps())
    (gains,) = Gains(held_out, factors.of, 2_000).of([recipe], range(len(held_out.users)))
    model = assemble(rest, factors.of(recipe), recipe, seed=0, steps=Steps())
    for user, item, gain in zip(held_out.users, held_out.items, gains, strict=True):
        liked = {interactions.item_ids[row] for row in held_out.rest[[user]].indices}
        (answer,) = recommend(model, [Query(liked, liked, 200)])
        evident = [one.item_id for one in answer.items if one.score > 0]
        wanted = interactions.item_ids[item]
        if wanted in evident[:20]:
            assert gain == pytest.approx((1 + 1 / np.log2(2 + evident.index(wanted))) / 2)
        else:
            assert gain == 0 or len(evident) < 20


def test_a_rank_of_twenty_counts_as_a_hit_and_one_of_twenty_one_does_not() -> None:
    scores = np.arange(30, 0, -1, dtype=np.float32)[None, :].repeat(2, axis=0)
    nothing_liked = empty_matrix(2, 30)
    gains = _gains(scores, nothing_liked, np.array([19, 20]))
    assert (gains > 0).tolist() == [True, False]


def test_the_default_stays_unless_another_is_clearly_better() -> None:
    rng = np.random.default_rng(0)
    users = np.arange(500)
    default = rng.random(500).astype(np.float32)
    noise = (default + rng.normal(0, 0.3, 500)).astype(np.float32)
    level = noise - noise.mean() + default.mean() + np.float32(0.001)

    def raced(*gains: FloatArray) -> Race:
        return Race(np.stack(gains), np.full(len(gains), 500))

    assert chosen(raced(default, level), users).place == 0
    assert chosen(raced(default, level, default + np.float32(0.1)), users).place == 2


def test_what_was_chosen_before_yields_only_to_a_sure_lead() -> None:
    rng = np.random.default_rng(0)
    users = np.arange(2_000)
    last = rng.random(2_000).astype(np.float32)
    lead = rng.normal(0.02, 0.4, 2_000).astype(np.float32)  # some two standard errors
    result = Race(np.stack([last, last + lead]), np.full(2, 2_000))
    assert chosen(result, users).place == 1
    assert chosen(result, users, sure=True).place == 0
    assert chosen(result, users, reference=1, sure=True).place == 1


def test_the_next_build_compares_with_what_the_last_one_chose() -> None:
    warm, steps = WarmStart(), Steps()
    first = build_best(likes_of_many(), ModelSettings(), steps=steps, warm=warm)
    warm.recipe = candidates(ModelSettings(), likes_of_many().user_items)[4]
    second = build_best(likes_of_many(seed=1), ModelSettings(), steps=steps, warm=warm)
    assert steps.report.choice is not None
    assert steps.report.choice["compared_with"] == 4
    assert warm.recipe == second.recipe
    assert first.recipe in candidates(ModelSettings(), likes_of_many().user_items)


@pytest.mark.parametrize(
    ("choice", "compared_with"), [({"chosen": 4}, 4), (None, 0)], ids=["auto", "a fixed ranker"]
)
def test_a_restarted_indexer_compares_with_the_choice_of_the_newest_model(
    tmp_path: Path, choice: dict[str, int] | None, compared_with: int
) -> None:
    likes = likes_of_many()
    recipe = candidates(ModelSettings(), likes.user_items)[4]
    before = build_model(likes, recipe)
    report = {"seconds": {}, "choice": choice}
    write_model(tmp_path, new_version(0), before, snapshot_at_ms=0, build=report)
    built = building(ModelSettings(), last=tmp_path)(likes, lambda _step: None)
    assert built.report.choice is not None
    assert built.report.choice["compared_with"] == compared_with


@pytest.mark.parametrize(
    ("effort", "shape", "rankers"),
    [
        ("fast", (300, 200), {"blend", "spectral"}),
        ("balanced", (300, 200), {"blend", "spectral", "ridge"}),
        ("balanced", (13_000, 13_000), {"blend", "spectral"}),
        ("best", (13_000, 13_000), {"blend", "spectral", "ridge"}),
    ],
)
def test_effort_bounds_what_is_tried(
    effort: Effort, shape: tuple[int, int], rankers: set[str]
) -> None:
    tried = candidates(ModelSettings(effort=effort), empty_matrix(*shape))
    assert {recipe.ranker for recipe in tried} == rankers
    assert tried[0] == DEFAULTS["blend"]


@pytest.mark.parametrize(("users", "ridges"), [(9_500, {4.0, 8.0}), (9_600, {8.0})])
def test_as_many_inverses_are_tried_as_take_no_longer_than_one_of_the_largest(
    users: int, ridges: set[float]
) -> None:
    tried = candidates(ModelSettings(), empty_matrix(users, 15_000))
    assert {recipe.ridge for recipe in tried if recipe.ranker == "ridge"} == ridges


@pytest.mark.parametrize(
    ("effort", "shape", "links"),
    [
        ("balanced", (500, 20_000), 1_000),
        ("balanced", (499, 20_000), 150),
        ("balanced", (500, 20_001), 150),
        ("fast", (500, 20_000), 150),
    ],
)
def test_more_links_need_no_evidence_where_users_are_enough_and_items_few(
    effort: Effort, shape: tuple[int, int], links: int
) -> None:
    settings, likes = ModelSettings(effort=effort), empty_matrix(*shape)
    recipe = expected_best(settings, likes)
    assert recipe.similar_items == links
    assert recipe in candidates(settings, likes)


def test_what_is_clearly_worse_leaves_the_race_and_the_default_stays() -> None:
    rng = np.random.default_rng(0)
    of_all = rng.random((4, 5_000), np.float32)
    of_all[2:] += np.array([[0.02], [0.5]], np.float32)  # the last one is best
    recipes = [structs.replace(DEFAULTS["blend"], ridge=float(place)) for place in range(4)]

    def measure(racing: Sequence[Recipe], likes: range) -> FloatArray:
        return of_all[np.ix_([int(recipe.ridge) for recipe in racing], likes)]

    result = race(measure, recipes, np.arange(5_000))
    assert result.likes[[0, 3]].tolist() == [5_000, 5_000]
    assert result.likes[1] == result.likes[2] < 1_000
    assert np.isnan(result.gains[1, result.likes[1] :]).all()
    assert chosen(result, np.arange(5_000)).place == 3


def test_every_user_counts_the_same() -> None:
    gains = np.array([[1, 0, 0, 0, 1, 1], [0, 1, 1, 1, 0, 0]], np.float32)
    users = np.array([7, 2, 2, 2, 7, 7])
    assert of_users(gains, users).tolist() == [[0, 1], [1, 0]]


def test_numbers_given_in_the_settings_are_in_every_candidate() -> None:
    tried = candidates(ModelSettings(ridge=7.0, similar_items=33), likes_of_many().user_items)
    assert {recipe.ridge for recipe in tried} == {7.0}
    assert {recipe.similar_items for recipe in tried} == {33}
    assert len(tried) == len(set(tried)) > 1


def test_the_choice_is_accounted_for() -> None:
    steps = Steps()
    model = build_best(likes_of_many(), ModelSettings(), steps=steps)
    choice = steps.report.choice
    assert choice is not None
    tried = candidates(ModelSettings(), likes_of_many().user_items)
    assert len(choice["tried"]) == len(tried)
    assert tried[choice["chosen"]] == model.recipe
    assert choice["held_out_likes"] > 30
    first, *others = choice["tried"]
    assert (first["lead"], first["clear_lead"]) == (0, 0)
    assert all(one["clear_lead"] >= 0 for one in others)
    best = choice["tried"][choice["chosen"]]
    assert best is first or best["lead"] > best["clear_lead"]
    assert {"svd", "co-occurrence", "choice", "annoy"} == set(steps.report.seconds)


@pytest.mark.parametrize("users", [0, 1, 5])
def test_too_few_likes_to_hold_any_out_give_the_default(users: int) -> None:
    steps = Steps()
    model = build_best(likes_of_many(users), ModelSettings(), steps=steps)
    assert model.recipe == DEFAULTS["blend"]
    assert steps.report.choice is None
