"""Neighbourhood ranking, the original: the likes of the nearest users.

A user's vector is their likes times V; Annoy finds the `neighbours` nearest by angle; each adds
their likes, weighted by the cosine. User-based collaborative filtering (Resnick et al., "GroupLens",
1994) in a latent space (Sarwar et al., "Application of Dimensionality Reduction in Recommender
Systems", 2000).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from likewise.errors import ModelFileError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from likewise.ranking.annoy_vectors import AnnoyVectors
    from likewise.ranking.model import FloatArray, Model


def scores(model: Model, likes: Any) -> FloatArray:
    """Return the score of every item for every query, float32 [B, n]; `likes` is CSR [B, n]."""
    return np.asarray(sparse_scores(model, likes).toarray(), np.float32)


def sparse_scores(model: Model, likes: Any) -> Any:
    """Return the same as CSR [B, n], which names the items of the neighbours alone."""
    index = _user_index(model)
    found = index.nearest_of_each(_fold_in(model, likes), model.recipe.neighbours)
    rows, cosines = (np.concatenate(parts) for parts in zip(*found, strict=True))
    ends = np.cumsum([0, *(len(nearest) for nearest, _ in found)])
    shape = (len(found), model.user_items.shape[0])
    weights = sparse.csr_array((cosines, rows, ends), shape=shape)
    return (weights @ model.user_items).tocsr()


def contributions(model: Model, liked: NDArray[np.intp], items: NDArray[np.intp]) -> FloatArray:
    """Return what each liked item [L] adds to the score of each of the items, [k, L].

    They sum up to the score: the cosine to a neighbour is linear in the likes, up to the length of
    the query's vector.
    """
    parts = model.item_factors[liked] * model.query_weights[liked, None]
    whole = parts.sum(axis=0)
    rows, _ = _user_index(model).nearest(whole, model.recipe.neighbours)
    neighbours = model.user_items[rows]
    users = _fold_in(model, neighbours)
    lengths = np.linalg.norm(users, axis=1) * np.linalg.norm(whole)
    users /= np.maximum(lengths, np.finfo(np.float32).tiny)[:, None]
    towards = neighbours[:, items].T @ users
    return np.asarray(towards @ parts.T, np.float32)


def _fold_in(model: Model, likes: Any) -> FloatArray:
    weighted = likes.multiply(model.query_weights[None, :]).tocsr()
    return np.asarray(weighted @ model.item_factors, np.float32)


def _user_index(model: Model) -> AnnoyVectors:
    if model.user_index is None:
        raise ModelFileError("this model was built without the user index that `neighbours` needs")
    return model.user_index
