"""Co-occurrence ranking: one hop over the normalised item-item similarity.

``scores = x C`` with the rows of C cut to the strongest neighbours when the model was built: item-based
collaborative filtering (Deshpande and Karypis, "Item-Based Top-N Recommendation Algorithms", 2004) with
the symmetric normalisation of graph filters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from likewise.ranking.ridge import tails

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from likewise.ids import ItemRow
    from likewise.ranking.model import FloatArray, Model


# Queries whose dense scores stay in a core's cache while something is added to them.
_QUERIES_AT_ONCE = 16


def scores_in_parts(model: Model, likes: Any) -> Iterator[tuple[slice, FloatArray]]:
    """Yield the scores of a few queries at a time, and which they are: float32 [b, n].

    `likes` is CSR [B, n] of ones.
    """
    tails = tails_of(model, np.diff(likes.indptr))[:, None]
    for start in range(0, likes.shape[0], _QUERIES_AT_ONCE):
        part = slice(start, start + _QUERIES_AT_ONCE)
        ends = likes.indptr[start : start + _QUERIES_AT_ONCE + 1]
        scored = _links(model, likes.indices[ends[0] : ends[-1]], ends - ends[0]).toarray()
        scored *= tails[part]
        yield part, scored


def _links(model: Model, liked: NDArray[np.integer], indptr: NDArray[np.integer]) -> Any:
    """Return the rows of the matrix that each query's likes name, one after another: CSR [B, n].

    An item stands there once for each like that links it, not summed up: a dense array of this
    does that on the way, in a fifth of the time of a product of sparse matrices.
    """
    found = model.cooccurrence[liked]
    tables = (found.data, found.indices, found.indptr[indptr])
    return sparse.csr_array(tables, shape=(len(indptr) - 1, found.shape[1]))


def sparse_scores(model: Model, likes: Any) -> Any:
    """Return the scores as CSR [B, n], which names the items linked with the likes alone."""
    found = (likes @ model.cooccurrence).tocsr()
    lengths = np.diff(likes.indptr)
    found.data *= np.repeat(tails_of(model, lengths), np.diff(found.indptr))
    return found


def contributions(model: Model, liked: NDArray[np.intp], item: ItemRow) -> FloatArray:
    """Return what each liked item [L] adds to one item's score; they sum up to the score."""
    shares = np.asarray(model.cooccurrence[liked][:, [item]].toarray(), np.float32).ravel()
    return shares * tails_of(model, np.array([len(liked)]))


def tails_of(model: Model, n_likes: NDArray[np.integer]) -> FloatArray:
    """Return what the links are multiplied by for users of so many likes, [B]."""
    return tails(model.recipe, model.spectrum, model.relative_ridges(n_likes))
