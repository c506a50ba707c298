"""Regret of a choice, on scores whose best is known."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec import structs

from benchmarks.choice import described, regret_of
from indexer.recipes import DEFAULTS

DEFAULT = DEFAULTS["blend"]
BETTER = structs.replace(DEFAULT, ridge=5.0)
WORSE = structs.replace(DEFAULT, ridge=30.0)
SCORES = {DEFAULT: np.full(10, 0.2), BETTER: np.full(10, 0.25), WORSE: np.full(10, 0.1)}


def test_the_best_recipe_has_no_regret() -> None:
    gain, regret = regret_of(BETTER, SCORES, seed=0)
    assert (gain, regret) == pytest.approx((25, 0))


def test_regret_is_what_the_chosen_recipe_lacks_to_the_best() -> None:
    gain, regret = regret_of(WORSE, SCORES, seed=0)
    assert (gain, regret) == pytest.approx((-50, 60))


def test_a_recipe_that_is_best_by_chance_makes_no_regret() -> None:
    noise = np.random.default_rng(0).normal(0.2, 0.05, (40, 4_000))
    scores = {structs.replace(DEFAULT, ridge=float(n)): of for n, of in enumerate(noise)}
    found = [regret_of(recipe, scores, seed=0).regret for recipe in scores]
    assert np.mean(found) == pytest.approx(0, abs=1)


def test_a_recipe_is_described_by_what_its_default_has_otherwise() -> None:
    assert described(DEFAULT) == "blend"
    assert described(BETTER) == "blend, ridge = 5"
