"""Co-occurrence ranking: one hop over the normalised item-item similarity.

``scores = x C`` with the rows of C cut to the strongest neighbours when the model was built: item-based
collaborative filtering (Deshpande and Karypis, "Item-Based Top-N Recommendation Algorithms", 2004) with
the symmetric normalisation of graph filters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from likewise.ranking.ridge import tails

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from likewise.ids import ItemRow
    from likewise.ranking.model import FloatArray, Model


def scores(model: Model, likes: Any) -> FloatArray:
    """Return the score of every item for every query, float32 [B, n]; `likes` is CSR [B, n]."""
    return np.asarray(sparse_scores(model, likes).toarray(), np.float32)


def sparse_scores(model: Model, likes: Any) -> Any:
    """Return the same as CSR [B, n], which names the items linked with the likes alone."""
    found = (likes @ model.cooccurrence).tocsr()
    lengths = np.diff(likes.indptr)
    found.data *= np.repeat(_tails(model, lengths), np.diff(found.indptr))
    return found


def contributions(model: Model, liked: NDArray[np.intp], item: ItemRow) -> FloatArray:
    """Return what each liked item [L] adds to one item's score; they sum up to the score."""
    shares = np.asarray(model.cooccurrence[liked][:, [item]].toarray(), np.float32).ravel()
    return shares * _tails(model, np.array([len(liked)]))


def _tails(model: Model, n_likes: NDArray[np.integer]) -> FloatArray:
    return tails(model.recipe, model.spectrum, model.relative_ridges(n_likes))
