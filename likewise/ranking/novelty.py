"""Novelty: scores are divided by a power of how many users like the item.

``score * d_i^-novelty``, before the best are taken. It is the exponent by which Zhou et al. ("Solving the
Apparent Diversity-Accuracy Dilemma of Recommender Systems", PNAS 2010, eq. 5) go from mass diffusion, at 0,
to heat conduction, at 1: their hybrid divides by d_i^(1 - lambda), and `novelty` is 1 - lambda, on top of
whatever the model's own exponents do. A score below 0 is multiplied by the power instead, so that
popularity always costs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from likewise.ranking.model import FloatArray, IntArray


def factors(counts: IntArray, scores: FloatArray, novelty: float) -> FloatArray:
    """Return what each score [P] is multiplied by, float32; `counts` [P] are the items' d_i.

    The scores' signs alone matter, and a factor is positive: so the product gives the same one.
    """
    powers = np.maximum(counts, 1).astype(np.float32) ** np.float32(novelty)
    return np.where(scores < 0, powers, 1 / powers).astype(np.float32, copy=False)
