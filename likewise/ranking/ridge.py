"""A separate ridge for every user: the fewer likes, the stronger.

A taste seen in n likes is known with a variance that falls with n, and what is known less surely has to
be shrunk more (Efron and Morris, "Data Analysis Using Stein's Estimator and Its Generalizations", 1975).
So a user of n likes is ranked under the ridge::

    lambda_n = lambda (typical / n)^g

where a typical user, of the geometric mean of likes, has lambda itself. A model holds the filter for that
one, ``h = e / (e + lambda)``. With ``r = lambda_n / lambda`` the others follow from it::

    e / (e + lambda_n) = h / (h + r (1 - h))
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from likewise.ranking.array_types import CsrMatrix, FloatArray
    from likewise.ranking.recipe import Recipe

_TINY = np.finfo(np.float32).tiny


def typical_likes(user_items: CsrMatrix) -> float:
    """Return the geometric mean of how many items a user likes; 1 if nobody likes any."""
    return typical_length(np.diff(user_items.indptr))


def typical_length(lengths: NDArray[np.integer]) -> float:
    """Return the geometric mean of the numbers of items that users like, [m]; 1 if nobody likes any."""
    lengths = lengths[lengths > 0]
    return float(np.exp(np.log(lengths).mean())) if len(lengths) else 1.0


def like_counts(likes: CsrMatrix) -> NDArray[np.integer]:
    """Return the number of positive weights in each row, [B]: dislikes count for nothing here."""
    positive = likes.data > 0
    if positive.all():
        return np.diff(likes.indptr)
    before = np.concatenate([[0], np.cumsum(positive)])
    return np.diff(before[likes.indptr])


def relative_ridges(recipe: Recipe, typical: float, n_likes: NDArray[np.integer]) -> FloatArray:
    """Return r for users of so many likes [B]; none counts as one."""
    ratios = (typical / np.maximum(n_likes, 1)) ** recipe.ridge_exponent
    return np.asarray(ratios, np.float32)


def filters(spectrum: FloatArray, ratios: FloatArray) -> FloatArray:
    """Return the filter of each user [B, d], from the typical user's [d] and r [B]."""
    found: FloatArray = spectrum * _growth(spectrum, ratios[:, None])
    return found


def tails(recipe: Recipe, spectrum: FloatArray, ratios: FloatArray) -> FloatArray:
    """Return what each user's sparse part is multiplied by, from the typical user's, [B].

    In a blend, and with `ridge`, that part continues the filter's last value; elsewhere there is nothing to continue.
    """
    if not recipe.continued or not len(spectrum):
        return np.ones_like(ratios)
    return _growth(spectrum[-1:], ratios)


def _growth(spectrum: FloatArray, ratios: FloatArray) -> FloatArray:
    """Return ``1 / (h + r (1 - h))``."""
    found: FloatArray = np.reciprocal(np.maximum(spectrum + ratios * (1 - spectrum), _TINY))
    return found
