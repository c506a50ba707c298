"""The recipe of a model: which ranker it serves with, and every number the build was told.

It stands in the manifest, so that a model says of itself how it ranks. docs/ranking.md has the
formulas, their sources and what was measured. Throughout, d_u is how many items a user likes, and
d_i how many users like an item.
"""

from __future__ import annotations

from typing import Literal

import msgspec

RankerName = Literal["blend", "spectral", "cooccurrence", "neighbours"]
RANKERS: tuple[RankerName, ...] = ("blend", "spectral", "cooccurrence", "neighbours")


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """How a model is built and ranks."""

    ranker: RankerName = "blend"
    trees: int = 20
    """Annoy trees: more find more of the true neighbours, in a larger file."""

    rank: int = 256
    """Singular vectors kept."""
    user_exponent: float = 0.5
    """a in the factorised ``R = D_u^-a A D_i^-b``."""
    item_exponent: float = 0.5
    """b in ``R``."""
    query_exponent: float = 0.5
    """A like weighs d_i^-q in the query of the spectral part."""
    score_exponent: float = 0.5
    """The spectral score of an item is multiplied by d_i^c; higher favours popular items."""
    ridge: float = 1.0
    """lambda in ``f(s) = s^2 / (s^2 + lambda)``, in units of the last singular value squared."""

    pair_user_exponent: float = 0.35
    """How much a user's likes lend to each pair of them: d_u^-2p."""
    pair_query_exponent: float = 0.7
    """A like weighs d_i^-q in the co-occurrence part."""
    pair_score_exponent: float = 0.3
    """The co-occurrence score of an item is divided by d_i^c."""
    similar_items: int = 200
    """Similar items kept for each item."""

    spectral_weight: float = 0.5
    """Share of the spectral part in the blend, both parts scaled to unit variance."""
    neighbours: int = 50
    """Nearest users whose likes the ranker `neighbours` adds up."""


ORIGINAL = Recipe(
    ranker="neighbours",
    rank=40,
    user_exponent=0.0,
    item_exponent=0.0,
    query_exponent=0.0,
    score_exponent=0.0,
    ridge=0.0,
)
"""The batch script likewise grew out of: binary matrix, 40 dimensions, nearest users by angle."""
