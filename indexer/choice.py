"""`ranker=auto`: a build that tries several recipes on held-out likes, and uses the best.

No fixed recipe suits all data. A few likes of a seeded sample of users are held out, the rest is factorised
once, and each candidate recipe ranks the held-out likes. So they can't leak into their own ranking. Of
many likes at most 1% are held out, and the served model uses the same factors; on small data it uses new
ones of all likes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from indexer.build import assemble
from indexer.candidates import candidates, expected_best
from indexer.factors import SharedFactors
from indexer.gains import Gains
from indexer.leave_out import MANY, leave_out
from indexer.racing import of_users, race, standard_errors
from indexer.warm_start import WarmStart
from likewise.models.versions import proved_versions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from indexer.interactions import Interactions
    from indexer.racing import Race
    from indexer.steps import Steps
    from likewise.models.place import Place
    from likewise.ranking.array_types import FloatArray
    from likewise.ranking.model import Model
    from likewise.ranking.recipe import Recipe
    from likewise.settings import ModelSettings

# Paired standard errors by which a recipe has to be better than the default to replace it; and as many again
# if there are so many users.
_BETTER = 1.0
_FEW_USERS = 200
# To replace what the last build chose: the same likes, held out differently, change no choice.
_BETTER_THAN_LAST = 2.6


def build_best(
    interactions: Interactions,
    settings: ModelSettings,
    *,
    steps: Steps,
    warm: WarmStart | None = None,
) -> Model:
    """Return a model of these interactions under the best of the candidate recipes.

    The recipe that `warm` has of the last build, or else the one expected to be best, is used unless another
    is better (`chosen`). If there are too few likes to hold any out, the default is used. The report has the
    recipes tried and their results.
    """
    tried = candidates(settings, interactions.user_items)
    seed = settings.seed
    left_out = leave_out(interactions.user_items, seed=seed)
    warm = warm or WarmStart()
    start = warm.vectors(interactions.item_ids, tried[0])
    factors = SharedFactors(left_out.rest, tried[0], seed=seed, steps=steps, start=start)
    warm.remember(interactions.item_ids, tried[0], factors.vectors)
    recipe = tried[0]
    if len(left_out.users):
        last = warm.recipe if warm.recipe in tried else None
        reference = tried.index(last or expected_best(settings, interactions.user_items))
        gains = Gains(left_out, factors.of, recipe.max_likes_per_user)
        for one in tried:
            factors.of(one)
        with steps("choice"):
            result = race(gains.of, tried, left_out.users, reference=reference)
            choice = chosen(result, left_out.users, reference=reference, sure=last is not None)
        recipe = tried[choice.place]
        steps.report.choice = _account(tried, result, choice, reference)
        warm.recipe = recipe
        if interactions.user_items.nnz < MANY:
            del gains
            factors = SharedFactors(interactions.user_items, tried[0], seed=seed, steps=steps)
    return assemble(
        interactions, factors.of(recipe), recipe, seed=seed, steps=steps, index=settings.index
    )


def last_choice(place: Place) -> Recipe | None:
    """Return the recipe of the newest model in a directory, if `ranker=auto` chose it.

    Canaries that were not promoted do not count.
    """
    newest = next(iter(proved_versions(place)), None)
    return newest.recipe if newest and newest.build.get("choice") else None


class Choice(NamedTuple):
    """Which recipe is best, and by how much each is better than the reference."""

    place: int
    leads: FloatArray
    """[recipes] how much more each gains than the reference, on the likes that it ranked."""
    clear_leads: FloatArray
    """[recipes] what its lead has to exceed, since so much may be chance."""


def chosen(
    result: Race, users: NDArray[np.intp], *, reference: int = 0, sure: bool = False
) -> Choice:
    """Return the recipe of a race whose lead over the reference, less what may be chance, is largest.

    Chance is one standard error, more if there are few users, and 2.6 if the choice has to be `sure`. Without
    such a lead the reference stays.
    """
    leads = np.zeros(len(result.likes), np.float32)
    errors = np.zeros(len(result.likes), np.float32)
    for place, likes in enumerate(result.likes.tolist()):
        difference = result.gains[[place], :likes] - result.gains[[reference], :likes]
        lead = of_users(difference, users[:likes])
        leads[place], errors[place] = lead.mean(), standard_errors(lead)[0]
    bar = _BETTER_THAN_LAST if sure else _BETTER + _FEW_USERS / len(np.unique(users))
    finalists = np.flatnonzero(result.likes == result.likes.max())
    clear_leads = np.float32(bar) * errors
    least = (leads - clear_leads)[finalists]
    best = int(finalists[least.argmax()])
    return Choice(best if least.max() > 0 else reference, leads, clear_leads)


def _account(tried: list[Recipe], result: Race, choice: Choice, reference: int) -> dict[str, Any]:
    """Return the description of the choice for the manifest; leads are over the recipe `compared_with`."""
    rows = zip(
        tried, result.gains, result.likes.tolist(), choice.leads, choice.clear_leads, strict=True
    )
    return {
        "held_out_likes": int(result.likes.max()),
        "chosen": choice.place,
        "compared_with": reference,
        "tried": [
            {
                "ranker": recipe.ranker,
                "rank": recipe.rank,
                "ridge": recipe.ridge,
                "ridge_exponent": recipe.ridge_exponent,
                "query_exponent": recipe.query_exponent,
                "score_exponent": recipe.score_exponent,
                "similar_items": recipe.similar_items,
                "likes": likes,
                "gain": round(float(gains[:likes].mean()), 4),
                "hit_rate@20": round(float((gains[:likes] > 0).mean()), 4),
                "lead": round(float(lead), 4),
                "clear_lead": round(float(clear_lead), 4),
            }
            for recipe, gains, likes, lead, clear_lead in rows
        ],
    }
