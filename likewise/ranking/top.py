"""The best of many scores, without sorting them all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from likewise.ranking.model import FloatArray


def best_columns(scores: FloatArray, count: int) -> NDArray[np.intp]:
    """Return up to `count` places of the highest finite scores, highest first, ties by place.

    `scores` has one dimension; places of `-inf` are never returned.
    """
    if count < len(scores):
        places = np.argpartition(-scores, count - 1)[:count]
    else:
        places = np.arange(len(scores))
    places = places[np.isfinite(scores[places])]
    return places[np.lexsort((places, -scores[places]))]
