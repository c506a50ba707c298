"""`ranker=auto`: a build that tries several recipes on held-out likes, and uses the best.

No fixed recipe suits all data. A few likes of a seeded sample of users are held out, the rest is factorised
once, and each candidate recipe ranks the held-out likes. So they can't leak into their own ranking. Of
many likes at most 1% are held out, and the served model uses the same factors; on small data it uses new
ones of all likes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import structs

from indexer.build import assemble
from indexer.factors import factorise
from indexer.gains import Gains
from indexer.leave_out import MANY, leave_out
from indexer.racing import race, standard_errors
from indexer.recipes import DEFAULTS, with_given
from indexer.warm_start import WarmStart

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from indexer.interactions import Interactions
    from indexer.racing import Race
    from indexer.steps import Steps
    from likewise.ranking.array_types import FloatArray
    from likewise.ranking.model import Model
    from likewise.ranking.recipe import Recipe
    from likewise.settings import ModelSettings

# Standard errors, paired: the normal quantile at 5% for a dozen comparisons (Bonferroni).
_CLEARLY = 2.6


def candidates(settings: ModelSettings) -> list[Recipe]:
    """Return the recipes to try, the default first; all of them use the values in the settings.

    All share the exponents and the largest rank of the default, so that one factorisation
    serves them. Of the blend there are weaker and stronger ridges and other weights of popular
    items; a ridge of 1,000 leaves plain co-occurrence. The spectral ones drop the sparse part.
    """
    blend = DEFAULTS["blend"]
    recipes = [blend]
    for ridge, query, score in (
        (3.0, 0.35, 0.2),
        (30.0, 0.35, 0.2),
        (10.0, 0.15, 0.05),
        (30.0, 0.15, 0.05),
        (10.0, 0.35, 0.1),
        (20.0, 0.5, 0.25),
        (1_000.0, 0.35, 0.15),
    ):
        recipes.append(
            structs.replace(blend, ridge=ridge, query_exponent=query, score_exponent=score)
        )
    recipes += [
        structs.replace(DEFAULTS["spectral"], rank=rank, ridge=ridge)
        for rank, ridge in ((64, 3.0), (128, 3.0), (128, 10.0), (256, 10.0))
    ]
    given = [with_given(recipe, settings) for recipe in recipes]
    return list(dict.fromkeys(given))


def build_best(
    interactions: Interactions,
    settings: ModelSettings,
    *,
    steps: Steps,
    warm: WarmStart | None = None,
) -> Model:
    """Return a model of these interactions under the best of the candidate recipes.

    The default is used unless another is clearly better (`best_of`), or if there are too few likes to
    hold any out. The report has the recipes tried and their results.
    """
    tried = candidates(settings)
    seed = settings.seed
    left_out = leave_out(interactions.user_items, seed=seed)
    warm = warm or WarmStart()
    start = warm.vectors(interactions.item_ids, tried[0])
    factors = factorise(left_out.rest, tried[0], seed=seed, steps=steps, start=start)
    warm.remember(interactions.item_ids, tried[0], factors.vectors)
    recipe = tried[0]
    if len(left_out.users):
        with steps("choice"):
            gains = Gains(left_out, factors, recipe.max_likes_per_user)
            result = race(gains.of, tried, left_out.users)
            recipe = tried[best_of(result, left_out.users)]
        steps.report.choice = _account(tried, result, recipe, left_out.users)
        if interactions.user_items.nnz < MANY:
            factors = factorise(interactions.user_items, tried[0], seed=seed, steps=steps)
    return assemble(interactions, factors, recipe, seed=seed, steps=steps)


def best_of(result: Race, users: NDArray[np.intp]) -> int:
    """Return which recipe of a race is best on average, 0 unless it clearly is.

    Of a dozen recipes that are as good as the first, one is better by a standard error or two just
    by chance. So the best has to be better by as many as chance gives once in twenty choices.
    """
    finalists = np.flatnonzero(result.likes == result.likes[0])
    best = int(finalists[result.gains[finalists].mean(axis=1).argmax()])
    difference = result.gains[best] - result.gains[0]
    (error,) = standard_errors(difference[None], users)
    return best if difference.mean() > _CLEARLY * error else 0


def _account(
    tried: list[Recipe], result: Race, chosen: Recipe, users: NDArray[np.intp]
) -> dict[str, Any]:
    """Return the description of the choice for the manifest.

    A recipe's `lead` is how much more it gains than the first one on the likes that it ranked; it is
    clearly better from `clear_lead` on.
    """
    return {
        "held_out_likes": int(result.likes[0]),
        "chosen": tried.index(chosen),
        "tried": [
            {
                "ranker": recipe.ranker,
                "rank": recipe.rank,
                "ridge": recipe.ridge,
                "query_exponent": recipe.query_exponent,
                "score_exponent": recipe.score_exponent,
                "likes": int(likes),
                "gain": round(float(gains[:likes].mean()), 4),
                "hit_rate@20": round(float((gains[:likes] > 0).mean()), 4),
                "lead": round(float(lead[:likes].mean()), 4),
                "clear_lead": _clear_lead(lead[:likes], users[:likes]),
            }
            for recipe, gains, lead, likes in zip(
                tried, result.gains, result.gains - result.gains[0], result.likes, strict=True
            )
        ],
    }


def _clear_lead(lead: FloatArray, users: NDArray[np.intp]) -> float:
    return round(_CLEARLY * float(standard_errors(lead[None], users)[0]), 4)
