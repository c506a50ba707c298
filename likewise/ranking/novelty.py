"""Novelty: scores are divided by a power of how many users like the item.

``score * d_i^-novelty``, before the best are taken. It is the exponent by which Zhou et al. ("Solving the
Apparent Diversity-Accuracy Dilemma of Recommender Systems", PNAS 2010, eq. 5) go from mass diffusion, at 0,
to heat conduction, at 1: their hybrid divides by d_i^(1 - lambda), and `novelty` is 1 - lambda, on top of
whatever the model's own exponents do. Scores of 0 and below are no reason to recommend an item, and are left
out before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from likewise.ranking.array_types import FloatArray, IntArray


def factors(counts: IntArray, novelty: float) -> FloatArray:
    """Return what each score above 0 [P] is multiplied by, float32; `counts` [P] are the items' d_i."""
    powers: FloatArray = np.maximum(counts, 1).astype(np.float32) ** np.float32(-novelty)
    return powers
