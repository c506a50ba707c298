"""The recipes that `ranker=auto` tries."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from msgspec import structs

from indexer.recipes import DEFAULTS, with_given
from indexer.rows import rows_of

if TYPE_CHECKING:
    from indexer.rows import Matrix
    from likewise.ranking.recipe import Recipe
    from likewise.settings import ModelSettings

# Ridge, ridge exponent, query exponent, score exponent. A ridge of 1,000 leaves plain co-occurrence.
_BLENDS = (
    (13.0, 0.0, 0.35, 0.2),
    (5.0, 0.5, 0.35, 0.2),
    (30.0, 0.5, 0.35, 0.2),
    (13.0, 0.5, 0.35, 0.1),
    (13.0, 0.0, 0.35, 0.1),
    (5.0, 0.5, 0.15, 0.05),
    (13.0, 0.5, 0.15, 0.05),
    (13.0, 0.0, 0.15, 0.05),
    (30.0, 0.5, 0.15, 0.05),
    (13.0, 0.5, 0.15, 0.2),
    (20.0, 0.5, 0.5, 0.25),
    (1_000.0, 0.5, 0.35, 0.15),
)
_SPECTRAL = ((64, 3.0), (128, 3.0), (256, 10.0))
# The first is better than the default on every small data set that we have: docs/decisions/0045.
_LINKED = (
    (10.0, 0.5, 0.35, 0.1),
    (10.0, 0.0, 0.35, 0.1),
    (10.0, 0.5, 0.15, 0.05),
    (5.0, 0.5, 0.15, 0.05),
    (13.0, 0.5, 0.35, 0.2),
)
# The same numbers without the ridge: all of them share one inverse.
_REGRESSIONS = ((0.0, 0.35, 0.1), (0.5, 0.25, 0.1), (0.5, 0.15, 0.05), (0.0, 0.35, 0.2))
# Links of an item, up to so many items and beyond: 8 and 3.2 KB an item, and 160 MB in all up to there.
_MORE_LINKS, _FEW_ITEMS, _LINKS_OF_MANY_ITEMS = 1_000, 20_000, 400
# Of fewer users, links beyond the strongest are mostly chance.
_ENOUGH_USERS = 500


def candidates(settings: ModelSettings, user_items: Matrix) -> list[Recipe]:
    """Return the recipes to try for this matrix, the default first; all of them use the values in the settings.

    All share the exponents and the largest rank of the default, so that one factorisation serves them. Of the
    blend there are weaker and stronger ridges and other weights of popular items. The spectral ones drop the
    links. What takes longer, more links and the whole regression, is there as far as `model.effort` allows.
    """
    blend = DEFAULTS["blend"]
    recipes = [blend]
    for ridge, g, q, c in _BLENDS:
        recipes.append(_with(blend, ridge, g, q, c))
    recipes += [
        structs.replace(DEFAULTS["spectral"], rank=rank, ridge=ridge) for rank, ridge in _SPECTRAL
    ]
    recipes += _linked(settings, user_items)
    effort, n_items = _EFFORTS[settings.effort], user_items.shape[1]
    size = max(min(user_items.shape), 1)
    if size <= effort.largest_inverse and n_items <= effort.most_items:
        for ridge in effort.ridges[: int((effort.largest_inverse / size) ** 3)]:
            recipes += [_with(DEFAULTS["ridge"], ridge, *rest) for rest in _REGRESSIONS]
    given = [with_given(recipe, settings) for recipe in recipes]
    return list(dict.fromkeys(given))


def expected_best(settings: ModelSettings, user_items: Matrix) -> Recipe:
    """Return that of `candidates` that is used unless another one proves better.

    From 500 users on and up to 20,000 items it is a blend with more links, if `model.effort` allows them;
    else the default.
    """
    n_users, n_items = user_items.shape
    linked = _linked(settings, user_items)
    bears_links = linked and n_users >= _ENOUGH_USERS and n_items <= _FEW_ITEMS
    return with_given(linked[0] if bears_links else DEFAULTS["blend"], settings)


def _linked(settings: ModelSettings, user_items: Matrix) -> list[Recipe]:
    """Return the blends with more links than the default, as far as `model.effort` allows them."""
    if _pairs(user_items) >= _EFFORTS[settings.effort].most_pairs:
        return []
    few = user_items.shape[1] <= _FEW_ITEMS
    links = _MORE_LINKS if few else _LINKS_OF_MANY_ITEMS
    linked = structs.replace(DEFAULTS["blend"], similar_items=links)
    return [_with(linked, *numbers) for numbers in _LINKED]


class _Effort(NamedTuple):
    """What may be tried; docs/ranking.md has the costs."""

    largest_inverse: int
    """Of users or items, whichever are fewer: the inverse takes the time of their cube."""
    most_items: int
    """Its rows take the time of their square."""
    ridges: tuple[float, ...]
    """Each costs an inverse: as many are tried as take no longer than one of the largest."""
    most_pairs: float
    """Pairs of likes of one user, in all: more links take their time."""


_EFFORTS = {
    "fast": _Effort(0, 0, (), 0),
    "balanced": _Effort(12_000, 20_000, (8.0, 4.0), 1e8),
    "best": _Effort(20_000, 40_000, (8.0, 3.0), 1e10),
}


def _with(recipe: Recipe, ridge: float, g: float, q: float, c: float) -> Recipe:
    return structs.replace(
        recipe, ridge=ridge, ridge_exponent=g, query_exponent=q, score_exponent=c
    )


def _pairs(user_items: Matrix) -> float:
    return float(np.square(rows_of(user_items).lengths(), dtype=np.float64).sum())
