"""Which scores are evidence, and which are what rounding leaves where there is none.

The spectral part of a score is an inner product, and by Cauchy and Schwarz at most::

    |x * query_weights| max(h) max(score_weights),      as V has orthonormal columns

Single precision computes it to within some multiple of its epsilon times that bound; the multiple grows with the
number of products added up. A smaller score could as well be 0, and one below 0 speaks against an item: neither is
a reason to recommend it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from likewise.ranking.ridge import filters, like_counts

if TYPE_CHECKING:
    from likewise.ranking.array_types import CsrMatrix, FloatArray
    from likewise.ranking.model import Model

# Rounding is up as often as down, so errors grow with the root of their number; twice for the vectors, which
# are rounded as well, and twice for the products.
_ROUNDINGS = 4 * np.finfo(np.float32).eps


def rounding(dimensions: int) -> float:
    """Return the share of its bound that an inner product of so many terms may be by rounding alone."""
    return float(_ROUNDINGS * np.sqrt(max(dimensions, 1)))


def least_scores(model: Model, likes: CsrMatrix) -> FloatArray:
    """Return the score that an item has to exceed for each query, float32 [B]; `likes` is CSR [B, n].

    0 where scores are sums of links, which are exact, or of neighbours, which are chosen by the same rule.
    """
    lengths = np.diff(likes.indptr)
    if model.recipe.ranker == "neighbours" or not model.spectrum.any():
        return np.zeros(len(lengths), np.float32)
    squares = np.square(model.query_weights[likes.indices] * likes.data)
    norms = np.sqrt(np.bincount(np.repeat(np.arange(len(lengths)), lengths), squares, len(lengths)))
    largest = model.spectrum.max(keepdims=True)  # the filter grows with the typical user's
    strongest = filters(largest, model.relative_ridges(like_counts(likes)))[:, 0]
    share = rounding(len(model.spectrum)) * model.largest_score_weight
    return np.asarray(share * norms * strongest, np.float32)
