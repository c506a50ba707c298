"""The search: never worse than the default on what it sees, on time, and blind to the test likes."""

from __future__ import annotations

import tomllib
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest
from msgspec import structs

from indexer.build import build_model
from indexer.candidates import candidates
from indexer.progress import Unwatched
from indexer.recipes import DEFAULTS, recipe_of
from likewise.evaluation.errors import EvaluationError
from likewise.evaluation.likes.held_out import HeldOut, hold_out
from likewise.evaluation.likes.splits import divide
from likewise.evaluation.likes.table import LikeCollector, LikeTable, Split, Stamp
from likewise.evaluation.metrics.lists import per_user
from likewise.evaluation.ranking import rank
from likewise.evaluation.tuning import search_space
from likewise.evaluation.tuning.search import Tuning, tune
from likewise.evaluation.tuning.settings_file import (
    check_settings_file,
    settings_toml,
    write_settings_file,
)
from likewise.evaluation.tuning.workbench import Trial, Workbench
from likewise.messages.events import Like
from likewise.messages.ids import ItemId, UserId
from likewise.settings import ModelSettings
from likewise.settings.loader import load_settings

if TYPE_CHECKING:
    from pathlib import Path

    from likewise.ranking.recipe import Recipe

K = 5
ROUND_S = 1.0


@cache
def noisy_likes() -> LikeTable:
    """Blocks with noise, and a few items that everybody likes: recipes differ on them."""
    draw = np.random.default_rng(4)
    collector = LikeCollector()
    for user in range(80):
        own = {f"b{user % 5}-i{item}" for item in np.flatnonzero(draw.random(16) < 0.5)}
        noise = {f"b{draw.integers(5)}-i{draw.integers(16)}" for _ in range(4)}
        popular = {f"p{item}" for item in np.flatnonzero(draw.random(6) < 0.5)}
        for item in sorted(own | noise | popular):
            collector.add(Like(UserId(f"u{user:02}"), ItemId(item)), Stamp())
    return collector.table()


@cache
def validation() -> HeldOut:
    likes = noisy_likes()
    splits = divide(likes, seed=1).splits
    return hold_out(likes, splits, fit=[Split.TRAIN], wanted=Split.VALID)


class Clock:
    """Each look at it takes some time."""

    def __init__(self, per_look_s: float = ROUND_S) -> None:
        self.now_s = 100.0
        self._per_look_s = per_look_s

    def __call__(self) -> float:
        self.now_s += self._per_look_s
        return self.now_s


@cache
def tuned(budget_s: float, *, seed: int = 0, per_look_s: float = ROUND_S) -> Tuning:
    clock = Clock(per_look_s)
    return tune(
        validation(), k=K, seed=seed, budget_s=budget_s, progress=Unwatched(), clock_s=clock
    )


def test_the_best_is_never_clearly_worse_than_the_default_on_the_same_users() -> None:
    found = tuned(60)
    assert found.default.recipe == DEFAULTS["blend"]
    assert found.best.keeps_up_with(found.default)
    assert found.users == len(validation().user_rows)
    assert found.trials > 5


def test_more_time_finds_no_worse_and_one_seed_finds_one_recipe() -> None:
    short, long, again = tuned(40), tuned(400), tuned.__wrapped__(400)
    assert long.trials > short.trials
    assert long.best.keeps_up_with(short.best)
    assert long.best == again.best


def test_a_weaker_ridge_would_do_no_better() -> None:
    found = tuned(4000)
    held_out = validation()
    users = np.arange(len(held_out.user_rows))
    bench = Workbench(held_out, found.best.recipe, 64, k=K, seed=0)
    weaker = structs.replace(found.best.recipe, ridge=found.best.recipe.ridge / 1.4)
    assert found.best.keeps_up_with(bench.try_out(weaker, users))


def test_another_matrix_than_the_default_has_to_be_clearly_better() -> None:
    found = tuned(4000)
    default = DEFAULTS["blend"]
    exponents = (found.best.recipe.user_exponent, found.best.recipe.item_exponent)
    assert exponents == (default.user_exponent, default.item_exponent)
    held_out = validation()
    users = np.arange(len(held_out.user_rows))
    for a, b in search_space.OTHER_EXPONENTS:
        other = structs.replace(found.best.recipe, user_exponent=a, item_exponent=b)
        trial = Workbench(held_out, other, 64, k=K, seed=0).try_out(other, users)
        assert found.best.keeps_up_with(trial)


def test_keeping_up_is_a_matter_of_one_paired_standard_error() -> None:
    recipe = DEFAULTS["blend"]
    scores = np.array([0.5, 0.5, 0.5, 0.5])
    best = Trial(recipe, 0.5, 0.5, scores)
    for lost, keeps_up in (([0.1, -0.1, 0.1, -0.05], True), ([0.1, 0.1, 0.1, 0.05], False)):
        assert Trial(recipe, 0.5, 0.5, scores - lost).keeps_up_with(best) is keeps_up


def test_no_time_still_gives_the_default_a_trial() -> None:
    found = tuned(0.001)
    assert found.default.recipe == DEFAULTS["blend"]
    assert found.trials <= 2 + search_space.PRUDENT_TRIALS


def test_a_search_ends_in_its_budget() -> None:
    found = tuned(200)
    assert found.spent_s <= 200
    assert found.not_reached


def test_a_search_begins_with_the_list_of_auto_and_never_ends_below_it() -> None:
    listed = candidates(ModelSettings(), validation().fit.user_items)
    found = tuned(4000)
    users = np.arange(len(validation().user_rows))
    bench = Workbench(validation(), DEFAULTS["blend"], 512, k=K, seed=0)
    best = max(bench.try_out(recipe, users).score for recipe in listed)
    assert found.best.score >= best - 0.002  # vectors of another rank differ in rounding
    assert not found.not_reached


def test_nothing_to_tune_on_is_refused() -> None:
    likes = noisy_likes()
    splits = np.full(likes.interactions.likes, Split.TRAIN, np.int8)
    held_out = hold_out(likes, splits, fit=[Split.TRAIN], wanted=Split.VALID)
    with pytest.raises(EvaluationError, match="nothing to tune on"):
        tune(held_out, k=K, seed=0, budget_s=1, progress=Unwatched())


@pytest.mark.parametrize(
    "recipe",
    [
        DEFAULTS["blend"],
        structs.replace(DEFAULTS["blend"], rank=8, ridge=2.0, score_exponent=0.3),
        structs.replace(DEFAULTS["spectral"], rank=12),
        structs.replace(DEFAULTS["blend"], ranker="neighbours", rank=6),
    ],
    ids=lambda recipe: f"{recipe.ranker}-{recipe.rank}",
)
def test_a_trial_ranks_as_a_model_built_of_its_recipe(recipe: Recipe) -> None:
    held_out = validation()
    users = np.arange(len(held_out.user_rows))
    trial = Workbench(held_out, DEFAULTS["blend"], 512, k=K, seed=0).try_out(recipe, users)
    model = build_model(held_out.fit, recipe)
    lists = rank(model, held_out.queries(), k=K, progress=Unwatched())
    recall, ndcg = per_user(lists.top, held_out, users).mean(axis=0)[:2]
    assert trial.recall == pytest.approx(recall, abs=0.01)
    assert trial.ndcg == pytest.approx(ndcg, abs=0.01)


def test_every_stage_varies_what_was_best_and_stays_on_its_factors() -> None:
    best = structs.replace(DEFAULTS["blend"], ridge=7.0, rank=128)
    for stage in search_space.first_stages(512, seed=0).values():
        for recipe in stage(best):
            exponents = (recipe.user_exponent, recipe.item_exponent)
            assert exponents == (best.user_exponent, best.item_exponent)
            assert recipe.rank <= 512


@pytest.mark.parametrize("recipe", [*DEFAULTS.values()], ids=list(DEFAULTS))
def test_a_settings_file_gives_the_very_recipe_back(recipe: Recipe, tmp_path: Path) -> None:
    path = tmp_path / "tuned.toml"
    write_settings_file(path, settings_toml(recipe, ["Found by a search."]))
    assert set(tomllib.loads(path.read_text())) == {"model"}
    settings = load_settings(file=path, environ={})
    assert recipe_of(settings.model) == recipe


def test_a_settings_file_that_is_there_already_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "likewise.toml"
    check_settings_file(path)
    path.write_text("[kafka]\n")
    with pytest.raises(EvaluationError, match="is there already"):
        check_settings_file(path)
    with pytest.raises(EvaluationError, match="can't be written"):
        write_settings_file(path, "[model]\n")
    assert path.read_text() == "[kafka]\n"
    with pytest.raises(EvaluationError, match="no directory"):
        check_settings_file(tmp_path / "nowhere" / "likewise.toml")
