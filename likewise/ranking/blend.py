"""The ranker that serves by default: ridge regression on co-occurrence, whole spectrum, no training.

With ``R = D_u^-a A D_i^-b`` and ``S = R'R`` the scores of likes x are ``x M``, where::

    M = h(S) ~ V diag(h(e)) V' + t (S - V diag(e) V'),    h(e) = e / (e + lambda),   t = h(e_d) / e_d

and (e, V) are the d largest eigenpairs of S. Inside them the filter h is exact: the ridge regression of
items on items (EASE without its diagonal constraint; Steck, "Embarrassingly Shallow Autoencoders for Sparse
Data", WWW 2019). The rest of the spectrum, which no truncated SVD can hold, is filtered by the line
through h(e_d), and that part is what the factors leave of the sparse co-occurrence matrix (the linear
filter of GF-CF; Shen et al., CIKM 2021). So dense data, with few strong directions, is ranked by its
spectrum, and sparse data by co-occurrence, with no weight to choose.

The model holds h as `spectrum` and t times the sparse part, cut to its strongest entries, as `cooccurrence`.
Its rows are of ``S - V diag(e) V'``; but where less of S is lost by it they are those of S itself
(`plain_rows`), and for likes of these items the filter is ``h(e) - t e``, the second term being `doubled`.
The ranker `ridge` has links of h(S) itself, beyond the factors, in place of the line (`indexer.regression`).
A sum of linear maps is linear, so contributions of single likes add up to the score.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from likewise.ranking import cooccurrence, spectral
from likewise.ranking.ridge import like_counts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from likewise.ranking.array_types import CsrMatrix, FloatArray
    from likewise.ranking.model import Model


# Items whose vectors are copied at a time: 16 MiB at rank 256.
_ITEMS_AT_ONCE = 16_384


def scores(model: Model, likes: CsrMatrix) -> FloatArray:
    """Return the score of every item for every query, float32 [B, n]; `likes` is CSR [B, n]."""
    scored = spectral.products(model, fold_in(model, likes))
    # Part by part, so that what is added to a score finds it still in the cache.
    for part, linked in cooccurrence.scores_in_parts(model, likes):
        scored[part] *= model.score_weights
        scored[part] += linked
    return scored


def scores_of(model: Model, likes: CsrMatrix, items: NDArray[np.intp]) -> FloatArray:
    """Return the scores of some items [k], sorted, for each query: float32 [B, k]."""
    folded = fold_in(model, likes)
    scored = np.empty((len(folded), len(items)), np.float32)
    for start in range(0, len(items), _ITEMS_AT_ONCE):
        part = slice(start, start + _ITEMS_AT_ONCE)
        scored[:, part] = folded @ model.item_factors[items[part]].T
    scored *= model.score_weights[items]
    scored += cooccurrence.scores_of(model, likes, items)
    return scored


def fold_in(model: Model, likes: CsrMatrix) -> FloatArray:
    """Return the vectors [B, d] of the spectral part of each query's scores; `likes` is CSR [B, n]."""
    weights = spectral.weights_of(model, likes)
    folded = spectral.filtered(model, likes, weights)
    plain = model.plain_rows[likes.indices]
    if plain.any() and model.doubled.any():
        held = spectral.projected(model, likes, weights * plain)
        held *= model.doubled
        held *= cooccurrence.tails_of(model, like_counts(likes))[:, None]
        folded -= held
    return folded


def contributions(
    model: Model, liked: NDArray[np.intp], weights: FloatArray | None, items: NDArray[np.intp]
) -> FloatArray:
    """Return what each liked item [L] adds to the score of each of the items, [k, L].

    They sum up to the score. `weights` [L] are those of the likes; None if all are 1.
    """
    n_likes = len(liked) if weights is None else int((weights > 0).sum())
    shares: FloatArray = spectral.contributions(model, liked, items, n_likes)
    cooccurrence.add_contributions(model, liked, items, n_likes, shares)
    plain = np.flatnonzero(model.plain_rows[liked])
    if len(plain) and model.doubled.any():
        (tail,) = cooccurrence.tails_of(model, np.array([n_likes]))
        towards = tail * model.doubled * model.item_factors[items]
        towards *= model.score_weights[items, None]
        held = towards @ model.item_factors[liked[plain]].T
        held *= model.query_weights[liked[plain]]
        shares[:, plain] -= held
    if weights is not None:
        shares *= weights
    return shares
