"""Users by taste: who would like an item, and whose taste is like somebody's.

Both scan the likes of all users in the snapshot: one product of the sparse matrix with a vector of
item weights, whatever the ranker. The answers are candidates. A caller that has the users' current
likes ranks them again with `item_scores`, since the snapshot may be a few minutes old.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from likewise.ranking import cooccurrence
from likewise.ranking.queries import as_csr, rows_of_each
from likewise.ranking.sampling import sampled
from likewise.ranking.scan import score_some
from likewise.ranking.spectral import projected, weights_of
from likewise.ranking.top import best_columns

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from likewise.messages.ids import ItemId, ItemRow
    from likewise.ranking.array_types import CsrMatrix, FloatArray
    from likewise.ranking.model import Model


class Candidates(NamedTuple):
    """Rows of `Model.user_items`, best first, and their scores."""

    rows: NDArray[np.intp]
    scores: FloatArray


def users_for(model: Model, item: ItemRow, count: int) -> Candidates:
    """Return up to `count` users who do not like the item yet and would, best first.

    A signal that weighs less than a like, such as a view, leaves nobody out. Everybody is scored as a
    user with the typical number of likes (`likewise.ranking.ridge`); only scores above 0.
    """
    scores = model.user_items @ _pull(model, item)
    rows, weights = _entries(model.user_items, item)
    scores[rows[weights >= 1]] = -np.inf
    return _best(scores, count)


def users_like(model: Model, liked: Collection[ItemId], count: int) -> Candidates:
    """Return up to `count` users whose taste is like that of a user with these likes, nearest first.

    The score is the cosine of the vectors of both: sums of the vectors of their likes. Without
    vectors, as with the ranker `cooccurrence`, the cosine of the weighted likes themselves.
    """
    (rows,) = rows_of_each(model, [liked])
    query = as_csr([sampled(rows, model.recipe.max_likes_per_user)], len(model.item_ids))
    if not query.nnz:
        return Candidates(np.zeros(0, np.intp), np.zeros(0, np.float32))
    if _has_vectors(model):
        (vector,) = projected(model, query, weights_of(model, query))
        weights = model.item_factors @ vector
        length = float(np.linalg.norm(vector))
    else:
        weights = np.zeros(len(model.item_ids), np.float32)
        weights[query.indices] = model.query_weights[query.indices]
        length = float(np.linalg.norm(weights))
    products = model.user_items @ (weights * model.query_weights)
    lengths = model.user_norms * length
    cosines = np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0)
    return _best(cosines, count)


def item_scores(model: Model, item: ItemRow, likes: Sequence[Collection[ItemId]]) -> FloatArray:
    """Return the score of the item for users with these likes, float32 [users]: as in their answers."""
    most = model.recipe.max_likes_per_user
    rows = [sampled(one, most) for one in rows_of_each(model, likes)]
    return score_some(model, as_csr(rows, len(model.item_ids)), np.array([item]))[:, 0]


def _has_vectors(model: Model) -> bool:
    return bool(model.item_factors.shape[1])


def _pull(model: Model, item: ItemRow) -> FloatArray:
    """Return how much a like of each item adds to the score of this one, float32 [n].

    For a user of `Model.typical_likes`, by the formulas of `likewise.ranking.blend`.
    """
    if model.recipe.ranker == "neighbours":  # a neighbour's cosine, summed over who likes the item
        likers = model.user_items[_entries(model.user_items, item)[0]]
        towards = projected(model, likers, weights_of(model, likers)).sum(axis=0)
        return np.asarray(model.item_factors @ towards * model.query_weights, np.float32)
    filtered = model.spectrum * model.item_factors[item]
    pull = model.item_factors @ filtered
    (tail,) = cooccurrence.tails_of(model, np.array([round(model.typical_likes)]))
    if model.doubled.any():
        held = model.item_factors @ (tail * model.doubled * model.item_factors[item])
        pull -= np.where(model.plain_rows, held, 0)
    pull *= model.query_weights * model.score_weights[item]
    rows, links = _entries(model.cooccurrence, item)
    pull[rows] += tail * links
    return np.asarray(pull, np.float32)


def _entries(matrix: CsrMatrix, column: int) -> tuple[NDArray[np.intp], FloatArray]:
    """Return the rows and values of a column's entries; a tenth of the time of SciPy's slicing."""
    places = np.flatnonzero(matrix.indices == column)
    return np.searchsorted(matrix.indptr, places, side="right") - 1, matrix.data[places]


def _best(scores: FloatArray, count: int) -> Candidates:
    rows = best_columns(scores, count)
    rows = rows[scores[rows] > 0]
    return Candidates(rows, scores[rows].astype(np.float32, copy=False))
