"""From settings to the recipe of a build."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from likewise.ranking.recipe import ORIGINAL, RankerName, Recipe

if TYPE_CHECKING:
    from likewise.settings import ModelSettings

DEFAULTS: dict[RankerName, Recipe] = {
    "blend": Recipe(),
    "ridge": Recipe(
        ranker="ridge", ridge=5.0, query_exponent=0.15, score_exponent=0.05, similar_items=1_000
    ),
    "spectral": Recipe(ranker="spectral", rank=128, query_exponent=0.0, score_exponent=0.1),
    "cooccurrence": Recipe(
        ranker="cooccurrence",
        rank=0,
        user_exponent=0.35,
        item_exponent=0.3,
        query_exponent=0.4,
        score_exponent=0.0,
        similar_items=400,
    ),
    "neighbours": ORIGINAL,
}
"""The default recipe of each ranker; see docs/ranking.md."""


def recipe_of(settings: ModelSettings) -> Recipe:
    """Return the recipe of the ranker named, with the numbers that the settings give."""
    ranker: RankerName = "blend" if settings.ranker == "auto" else settings.ranker
    return with_given(DEFAULTS[ranker], settings)


def with_given(recipe: Recipe, settings: ModelSettings) -> Recipe:
    """Return the recipe with its numbers replaced by those that the settings give."""
    given = {
        name: value
        for name in Recipe.__struct_fields__
        if name != "ranker" and (value := getattr(settings, name)) is not None
    }
    return msgspec.structs.replace(recipe, **given)
