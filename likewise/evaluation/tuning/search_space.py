"""Which recipes a search tries, and in which order: what matters most comes first.

The grids span what was best on six data sets (docs/ranking.md), and a step beyond on each side.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import structs

from indexer.recipes import DEFAULTS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from likewise.ranking.recipe import Recipe

    Stage = Callable[[Recipe], list[Recipe]]

RANKS = (64, 128, 256, 512)
# Exponents of R. Each pair costs another factorisation, and seldom gains much over the first.
OTHER_EXPONENTS = ((0.35, 0.35), (0.15, 0.25), (0.5, 0.5), (0.35, 0.5), (0.0, 0.0))
_RIDGES = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
_RIDGE_EXPONENTS = (0.0, 0.5, 1.0)
_QUERY_EXPONENTS = (0.0, 0.15, 0.35, 0.5)
_SCORE_EXPONENTS = (0.0, 0.1, 0.2)
_FINER = (0.5, 0.7, 1.4, 2.0)
_STRONGER = (2.8, 2.0, 1.4)
_MORE_POPULAR = (0.1, 0.05)
PRUDENT_TRIALS = len(_STRONGER) + len(_MORE_POPULAR)
"""How many recipes `more_popular` and `stronger_ridges` give together, at most."""
_NEIGHBOURS = (50, 100, 200)
# More links rank better where many items are liked by few, and cost servers time and memory.
_SIMILAR_ITEMS = (400, 1000)
_STEPS_NEARBY = 8


def first_stages(largest_rank: int, *, seed: int) -> dict[str, Stage]:
    """Return the stages of a first search by name, in order; each is given the best recipe so far.

    All their recipes can be tried on the factors of one blend of the largest rank.
    """
    ranks = [rank for rank in RANKS if rank <= largest_rank]
    steps = nearby(largest_rank, np.random.default_rng(seed))
    return {
        "ridge exponents": lambda best: _vary(best, ridge_exponent=_RIDGE_EXPONENTS),
        "weights": weights,
        "finer ridges": finer_ridges,
        "links": lambda best: _vary(best, similar_items=_SIMILAR_ITEMS),
        "steps": steps,
        "ranks": lambda best: _vary(best, rank=ranks),
        "ridges": lambda best: _vary(best, ranker=("blend", "spectral"), ridge=_RIDGES),
        "more steps": steps,
        "yet more steps": steps,
        "neighbours": neighbour_recipes,
    }


def finer_ridges(best: Recipe) -> list[Recipe]:
    """Return the recipe with ridges around its own."""
    return _vary(best, ridge=[round(best.ridge * factor, 3) for factor in _FINER])


def stronger_ridges(best: Recipe) -> list[Recipe]:
    """Return the recipe with stronger ridges, the strongest first; none where it has no ridge."""
    if best.ranker not in ("blend", "ridge", "spectral") or not best.ridge:
        return []
    return _vary(best, ridge=[round(best.ridge * factor, 3) for factor in _STRONGER])


def more_popular(best: Recipe) -> list[Recipe]:
    """Return the recipe with larger weights of popular items in scores, the largest first."""
    return _vary(best, score_exponent=[round(best.score_exponent + c, 3) for c in _MORE_POPULAR])


def weights(best: Recipe) -> list[Recipe]:
    """Return the recipe with other weights of popular items, in queries and in scores."""
    return _vary(best, query_exponent=_QUERY_EXPONENTS, score_exponent=_SCORE_EXPONENTS)


def similarity_recipes(best: Recipe) -> list[Recipe]:
    """Return recipes of plain co-occurrence, all on the same factors; `best` is not looked at."""
    return weights(DEFAULTS["cooccurrence"])


def neighbour_recipes(best: Recipe) -> list[Recipe]:
    """Return recipes of nearest users, on the factors of the best."""
    plain = structs.replace(best, ranker="neighbours", query_exponent=0.0, score_exponent=0.0)
    return _vary(plain, rank=sorted({64, best.rank}), neighbours=_NEIGHBOURS)


def nearby(largest_rank: int, draw: np.random.Generator) -> Stage:
    """Return a stage of recipes random steps away from the best, on the same factors."""
    ranks = [rank for rank in RANKS if rank <= largest_rank]

    def stage(best: Recipe) -> list[Recipe]:
        return [
            structs.replace(
                best,
                rank=best.rank if draw.random() < 0.7 else int(draw.choice(ranks)),
                ridge=round(float(best.ridge * np.exp(draw.normal(0, 0.4))), 3),
                query_exponent=round(float(best.query_exponent + draw.normal(0, 0.07)), 3),
                score_exponent=round(float(best.score_exponent + draw.normal(0, 0.05)), 3),
            )
            for _ in range(_STEPS_NEARBY)
        ]

    return stage


def _vary(recipe: Recipe, **grids: Sequence[Any]) -> list[Recipe]:
    """Return the recipe with every combination of these values of its fields."""
    return [
        structs.replace(recipe, **dict(zip(grids, values, strict=True)))
        for values in product(*grids.values())
    ]
