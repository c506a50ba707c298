"""Co-occurrence ranking: one hop over the normalised item-item similarity.

``scores = x C`` with the rows of C cut to the strongest neighbours when the model was built: item-based
collaborative filtering (Deshpande and Karypis, "Item-Based Top-N Recommendation Algorithms", 2004) with
the symmetric normalisation of graph filters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from likewise.ids import ItemRow
    from likewise.ranking.model import FloatArray, Model


def scores(model: Model, likes: Any) -> FloatArray:
    """Return the score of every item for every query, float32 [B, n]; `likes` is CSR [B, n]."""
    return np.asarray((likes @ model.cooccurrence).toarray(), np.float32)


def contributions(model: Model, liked: NDArray[np.intp], item: ItemRow) -> FloatArray:
    """Return what each liked item [L] adds to one item's score; they sum up to the score."""
    return np.asarray(model.cooccurrence[liked][:, [item]].toarray(), np.float32).ravel()
