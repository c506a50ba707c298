"""Spectral ranking: a filter on the singular values of the normalised interaction matrix.

With ``R = D_u^-a A D_i^-b ~ U S V'`` the likes ``x`` of a user are scored as::

    scores = (((x * query_weights) V) * f(s)) V' * score_weights

which is the ideal low-pass graph filter of GF-CF (Shen et al., "How Powerful is Graph Convolution
for Recommendation?", CIKM 2021, eq. 13) with a smooth filter in place of the cut, stronger or
weaker by how many likes there are (`likewise.ranking.ridge`). It needs no vector of the user, so
likes of this moment and users the model has never seen count at once. Weights other than 1, and
below 0 for dislikes, enter as they are: the map is linear.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from likewise.ranking.ridge import filters, like_counts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from likewise.ranking.array_types import CsrMatrix, FloatArray
    from likewise.ranking.model import Model


def fold_in(model: Model, likes: CsrMatrix) -> FloatArray:
    """Return the filtered query vectors [B, d] of the weighted likes, CSR [B, n]."""
    return filtered(model, likes, weights_of(model, likes))


def weights_of(model: Model, likes: CsrMatrix) -> FloatArray:
    """Return what each of the likes, CSR [B, n], weighs in a query's vector, [nnz]."""
    weights: FloatArray = likes.data * model.query_weights[likes.indices]
    return weights


def filtered(model: Model, likes: CsrMatrix, weights: FloatArray) -> FloatArray:
    """Return the query vectors [B, d] of the likes, CSR [B, n], with these weights [nnz]."""
    folded = projected(model, likes, weights)
    folded *= filters(model.spectrum, model.relative_ridges(like_counts(likes)))
    return folded


def projected(model: Model, likes: CsrMatrix, weights: FloatArray) -> FloatArray:
    """Return the likes, CSR [B, n], with these weights [nnz], in the directions of the factors, [B, d]."""
    weighted: CsrMatrix = sparse.csr_array(
        (weights, likes.indices, likes.indptr), shape=likes.shape
    )
    directions: FloatArray = weighted @ model.item_factors
    return directions


def products(model: Model, folded: FloatArray) -> FloatArray:
    """Return the product of every query vector [B, d] and every item's vector, [B, n].

    Scores are these times `score_weights`.
    """
    multiplied: FloatArray = folded @ model.item_factors.T
    return multiplied


def contributions(
    model: Model, liked: NDArray[np.intp], items: NDArray[np.intp], n_likes: int
) -> FloatArray:
    """Return what a like of weight 1 of each item [L] adds to the score of each of the items, [k, L].

    For a user of `n_likes` likes.
    """
    (ours,) = filters(model.spectrum, model.relative_ridges(np.array([n_likes])))
    towards = model.item_factors[items] * ours * model.score_weights[items, None]
    shares: FloatArray = towards @ model.item_factors[liked].T
    shares *= model.query_weights[liked]
    return shares
