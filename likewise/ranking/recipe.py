"""The recipe of a model: which ranker it serves with, and every number of its build.

It is in the manifest, so that every model describes how it ranks. docs/ranking.md has the
formulas, their sources and what was measured. Throughout, d_u is how many items a user likes, and
d_i how many users like an item.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

RankerName = Literal["blend", "ridge", "spectral", "cooccurrence", "neighbours"]
RANKERS: tuple[RankerName, ...] = ("blend", "ridge", "spectral", "cooccurrence", "neighbours")
Count = Annotated[int, Meta(ge=1, lt=2**31)]
Share = Annotated[float, Meta(ge=0, le=1)]
Exponent = Annotated[float, Meta(ge=-2, le=2)]


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """How a model is built and ranks."""

    ranker: RankerName = "blend"
    rank: Annotated[int, Meta(ge=0)] = 256
    """Singular vectors kept."""
    user_exponent: Share = 0.25
    """a in ``R = D_u^-a A D_i^-b``: the more items a user likes, the less each says."""
    item_exponent: Share = 0.25
    """b in ``R``: the more users like an item, the less each like of it says."""
    ridge: Annotated[float, Meta(ge=0)] = 13.0
    """lambda in the filter ``s^2 / (s^2 + lambda)``: directions weaker than it count for little."""
    ridge_exponent: Annotated[float, Meta(ge=0, le=2)] = 0.5
    """g: the ridge of a user of n likes is ``lambda (typical / n)^g``; 0 is one ridge for all."""
    query_exponent: Exponent = 0.35
    """A like weighs d_i^-q in the query, beyond what R does."""
    score_exponent: Exponent = 0.2
    """A score is multiplied by d_i^c: higher favours popular items."""
    similar_items: Count = 150
    """Co-occurring items kept for each item."""
    max_likes_per_user: Count = 2_000
    """Of a user who likes more, so many likes, drawn at random, say what goes together; also in a query."""
    neighbours: Count = 50
    """Nearest users whose likes the ranker `neighbours` adds up."""
    trees: Count = 20
    """Annoy trees: more find more of the true neighbours, in a larger file."""

    @property
    def continued(self) -> bool:
        """Whether links continue the filter beyond the factors: `likewise.ranking.blend`."""
        return self.ranker in ("blend", "ridge")


ORIGINAL = Recipe(
    ranker="neighbours",
    rank=40,
    user_exponent=0.0,
    item_exponent=0.0,
    ridge=0.0,
    ridge_exponent=0.0,
    query_exponent=0.0,
    score_exponent=0.0,
)
"""The batch script likewise grew out of: binary matrix, 40 dimensions, nearest users by angle."""
