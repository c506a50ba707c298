"""Spectral ranking: a filter on the singular values of the normalised interaction matrix.

With ``R = D_u^-a A D_i^-b ~ U S V'`` the likes ``x`` of a user are scored as::

    scores = (((x * query_weights) V) * f(s)) V' * score_weights

which is the ideal low-pass graph filter of GF-CF (Shen et al., "How Powerful is Graph Convolution
for Recommendation?", CIKM 2021, eq. 13) with a smooth filter in place of the cut, stronger or
weaker by how many likes there are (`likewise.ranking.ridge`). It needs no vector of the user, so likes of this moment and users the model has never seen count at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from likewise.ranking.ridge import filters

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from likewise.ranking.array_types import CsrMatrix, FloatArray
    from likewise.ranking.model import Model

_FEW_QUERIES = 48
_ITEMS_AT_ONCE = 1_000


def fold_in(model: Model, likes: CsrMatrix) -> FloatArray:
    """Return the filtered query vectors [B, d] of the likes, CSR [B, n]."""
    folded = projected(model, likes, model.query_weights)
    folded *= filters(model.spectrum, model.relative_ridges(np.diff(likes.indptr)))
    return folded


def projected(model: Model, likes: CsrMatrix, weights: FloatArray) -> FloatArray:
    """Return the likes, CSR [B, n], weighted by item [n], in the directions of the factors, [B, d]."""
    values = likes.data * weights[likes.indices]
    weighted = sparse.csr_array((values, likes.indices, likes.indptr), shape=likes.shape)
    directions: FloatArray = weighted @ model.item_factors
    return directions


def products(model: Model, folded: FloatArray) -> FloatArray:
    """Return what `score_weights` makes scores of: every query vector [B, d] by every item's, [B, n]."""
    if not 1 < len(folded) <= _FEW_QUERIES:
        whole: FloatArray = folded @ model.item_factors.T
        return whole
    # The library rearranges the item vectors first, whatever the queries are; it takes less time over
    # that where they are the left operand. In parts, which stay in the cache until they are turned.
    multiplied = np.empty((len(folded), len(model.item_factors)), np.float32)
    for start in range(0, len(model.item_factors), _ITEMS_AT_ONCE):
        part = slice(start, start + _ITEMS_AT_ONCE)
        multiplied[:, part] = (model.item_factors[part] @ folded.T).T
    return multiplied


def contributions(model: Model, liked: NDArray[np.intp], items: NDArray[np.intp]) -> FloatArray:
    """Return what each liked item [L] adds to the score of each of the items, [k, L].

    They sum up to the score.
    """
    (ours,) = filters(model.spectrum, model.relative_ridges(np.array([len(liked)])))
    towards = model.item_factors[items] * ours * model.score_weights[items, None]
    shares: FloatArray = towards @ model.item_factors[liked].T
    shares *= model.query_weights[liked]
    return shares
