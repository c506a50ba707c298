"""The ranker that serves by default: ridge regression on co-occurrence, whole spectrum, no training.

With ``R = D_u^-a A D_i^-b`` and ``S = R'R`` the scores of likes x are ``x M``, where::

    M = h(S) ~ V diag(h(e)) V' + t (S - V diag(e) V'),    h(e) = e / (e + lambda),   t = h(e_d) / e_d

and (e, V) are the d largest eigenpairs of S. Inside them the filter h is exact: the ridge regression of
items on items (EASE without its diagonal constraint; Steck, "Embarrassingly Shallow Autoencoders for Sparse
Data", WWW 2019). The rest of the spectrum, which no truncated SVD can hold, is filtered by the line
through h(e_d), and that part is what the factors leave of the sparse co-occurrence matrix (the linear
filter of GF-CF; Shen et al., CIKM 2021). So dense data, with few strong directions, is ranked by its
spectrum, and sparse data by co-occurrence, with no weight to choose.

The model holds h as `spectrum` and the sparse part, cut to its strongest entries, as `cooccurrence`; a sum
of linear maps is linear, so contributions of single likes add up to the score.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from likewise.ranking import cooccurrence, spectral

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from likewise.ids import ItemRow
    from likewise.ranking.model import FloatArray, Model


def scores(model: Model, likes: Any) -> FloatArray:
    """Return the score of every item for every query, float32 [B, n]; `likes` is CSR [B, n]."""
    scored = spectral.scores(model, likes)
    cooccurrence.add_scores(model, likes, scored)
    return scored


def contributions(model: Model, liked: NDArray[np.intp], item: ItemRow) -> FloatArray:
    """Return what each liked item [L] adds to one item's score; they sum up to the score."""
    shares: FloatArray = spectral.contributions(model, liked, item)
    shares += cooccurrence.contributions(model, liked, item)
    return shares
