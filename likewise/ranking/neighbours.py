"""Neighbourhood ranking, the original: the likes of the nearest users.

A user's vector is their likes times V; Annoy finds the `neighbours` nearest by angle; each adds
their likes, weighted by the cosine. User-based collaborative filtering (Resnick et al., "GroupLens",
1994) in a latent space (Sarwar et al., "Application of Dimensionality Reduction in Recommender
Systems", 2000).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from likewise.errors import ModelFileError
from likewise.ranking.evidence import rounding

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from likewise.ranking.array_types import CsrMatrix, FloatArray
    from likewise.ranking.index import AnnoyVectors
    from likewise.ranking.model import Model

_TINY = np.finfo(np.float32).tiny


def scores(model: Model, likes: CsrMatrix) -> FloatArray:
    """Return the score of every item for every query, float32 [B, n]; `likes` is CSR [B, n]."""
    return np.asarray(sparse_scores(model, likes).toarray(), np.float32)


def sparse_scores(model: Model, likes: CsrMatrix) -> CsrMatrix:
    """Return the same as CSR [B, n], which names the items of the neighbours alone."""
    found = _nearest(model, _fold_in(model, likes))
    rows, cosines = (np.concatenate(parts) for parts in zip(*found, strict=True))
    ends = np.cumsum([0, *(len(nearest) for nearest, _ in found)])
    shape = (len(found), model.user_items.shape[0])
    weights = sparse.csr_array((cosines, rows, ends), shape=shape)
    return (weights @ model.user_items).tocsr()


def scores_of(model: Model, likes: CsrMatrix, items: NDArray[np.intp]) -> FloatArray:
    """Return the scores of some items [k] for each query: float32 [B, k]."""
    return np.asarray(sparse_scores(model, likes)[:, items].toarray(), np.float32)


def contributions(
    model: Model, liked: NDArray[np.intp], weights: FloatArray | None, items: NDArray[np.intp]
) -> FloatArray:
    """Return what each liked item [L] adds to the score of each of the items, [k, L].

    They sum up to the score: the cosine to a neighbour is linear in the likes, up to the length of
    the query's vector. `weights` [L] are those of the likes; None if all are 1.
    """
    weighted = model.query_weights[liked]
    if weights is not None:
        weighted = weighted * weights
    parts = model.item_factors[liked] * weighted[:, None]
    whole = directions(parts.sum(axis=0)[None], np.square(weighted).sum()[None])
    ((rows, _),) = _nearest(model, whole)
    neighbours = model.user_items[rows]
    users = _fold_in(model, neighbours)
    lengths = np.linalg.norm(users, axis=1) * np.linalg.norm(whole)
    users /= np.where(lengths > 0, lengths, 1)[:, None]  # a neighbour's and the query's own are
    towards = neighbours[:, items].T @ users
    return np.asarray(towards @ parts.T, np.float32)


def user_vectors(
    user_items: CsrMatrix, query_weights: FloatArray, item_factors: FloatArray
) -> FloatArray:
    """Return the vector of each row of likes, CSR [m, n], that neighbours are found by: [m, d]."""
    weighted = user_items.multiply(query_weights[None, :]).tocsr()
    squares: FloatArray = np.asarray(weighted.power(2).sum(axis=1), np.float32).ravel()
    return directions(np.asarray(weighted @ item_factors, np.float32), squares)


def directions(vectors: FloatArray, squares: FloatArray) -> FloatArray:
    """Return sums of item vectors [B, d], 0 in place of one that is no longer than rounding makes it.

    `squares` [B] are the squared weights of what was added up. A vector of rounding errors has a direction like
    any other, and nearest neighbours, but says nothing about them.
    """
    least = rounding(vectors.shape[1]) * np.sqrt(squares)
    vectors[np.linalg.norm(vectors, axis=1) <= least] = 0
    return vectors


def _fold_in(model: Model, likes: CsrMatrix) -> FloatArray:
    return user_vectors(likes, model.query_weights, model.item_factors)


def _nearest(
    model: Model, vectors: FloatArray
) -> list[tuple[NDArray[np.intp], NDArray[np.float32]]]:
    """Return the neighbours of each vector and their cosines, without those at a right angle or more."""
    found = _user_index(model).nearest_of_each(vectors, model.recipe.neighbours)
    least = rounding(vectors.shape[1])
    return [(rows[cosines > least], cosines[cosines > least]) for rows, cosines in found]


def _user_index(model: Model) -> AnnoyVectors:
    if model.user_index is None:
        raise ModelFileError("this model was built without the user index that `neighbours` needs")
    return model.user_index
