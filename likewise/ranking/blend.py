"""The linear rankers as one: a weighted sum of the spectral and the co-occurrence score.

Dense data wants the spectrum, sparse data co-occurrence; the recipe says how much of each. Both
parts leave the build with unit root mean square, so that the share means the same on all data.
A sum of linear maps is linear: contributions of single likes still add up to the score.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from likewise.ranking import cooccurrence, spectral

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from likewise.ids import ItemRow
    from likewise.ranking.model import FloatArray, Model
    from likewise.ranking.recipe import Recipe


def spectral_share(recipe: Recipe) -> np.float32:
    """Return the weight of the spectral part; the co-occurrence part has the rest of 1."""
    if recipe.ranker == "spectral":
        return np.float32(1)
    if recipe.ranker == "cooccurrence":
        return np.float32(0)
    return np.float32(recipe.spectral_weight)


def scores(model: Model, likes: Any) -> FloatArray:
    """Return the score of every item for every query, float32 [B, n]; `likes` is CSR [B, n]."""
    share = spectral_share(model.recipe)
    if share == 1:
        return spectral.scores(model, likes)
    scored: FloatArray = cooccurrence.scores(model, likes) * (1 - share)
    if share > 0:
        scored += spectral.scores(model, likes) * share
    return scored


def contributions(model: Model, liked: NDArray[np.intp], item: ItemRow) -> FloatArray:
    """Return what each liked item [L] adds to one item's score; they sum up to the score."""
    share = spectral_share(model.recipe)
    shares: FloatArray = spectral.contributions(model, liked, item) * share
    if share < 1:
        shares += cooccurrence.contributions(model, liked, item) * (1 - share)
    return shares
