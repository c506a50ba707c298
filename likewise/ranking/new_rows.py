"""Rows of a model for items that came after it: what the next build would compute, from their likers alone.

With R of the current likes, a row of ``S = R'R`` needs the rows of R of the users who like the item, and
nothing else::

    S_ij = d_i^-b d_j^-b  sum over users u who like i and j of  d_u^-2a

d_u and d_i are those of this moment. d_j is the model's: it differs from that of the next build by the likes
of item j since the snapshot. The item's vector follows from the row by Nystroem's extension of the eigenvectors
(Williams and Seeger, "Using the Nystroem Method to Speed Up Kernel Machines", NIPS 2000)::

    S V = V diag(e)      so      v_i = S_i V diag(1 / e)

which keeps the new item out of the eigenpairs themselves, where a few likes change next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import sparse

from likewise.ranking.array_types import empty_matrix
from likewise.ranking.degrees import power
from likewise.ranking.queries import rows_of_each
from likewise.ranking.sampling import sampled
from likewise.ranking.top import largest_places

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from likewise.messages.ids import ItemId, UserId
    from likewise.ranking.array_types import CsrMatrix, FloatArray
    from likewise.ranking.model import Model

# A row next to factors is kept whole as long as it has no more entries than so many times `similar_items`:
# what is cut from a row of S itself is lost.
_ENTRIES_NEXT_TO_FACTORS = 4


class NewRows(NamedTuple):
    """What a model has for items that it knows, for some that it does not. m items, rank d."""

    similar: CsrMatrix
    """CSR [m, n] rows of ``R'R``, cut to their strongest entries."""
    vectors: FloatArray
    """[m, d] their places in the model's directions; [m, 0] if it ranks without directions."""
    tail: float
    """t: what links are multiplied by for a typical user, next to the two weights."""


def supports(model: Model) -> bool:
    """Whether rows can be added to this model.

    Not to `neighbours`, which ranks by the users of the snapshot; and not without a ridge, since the
    filter does not determine the eigenvalues then.
    """
    if not len(model.item_ids) or model.recipe.ranker == "neighbours":
        return False
    return not _has_factors(model) or model.recipe.ridge > 0


def new_rows(
    model: Model,
    likers: Sequence[Collection[UserId]],
    likes: Mapping[UserId, Collection[ItemId]],
) -> NewRows:
    """Return the rows of items with these likers; `likes` has everything that each of them likes.

    The model is one that `supports` them.
    """
    row_of = {user: row for row, user in enumerate(likes)}
    powers = _user_powers(model, likes)
    normalised = _normalised(model, likes, powers)
    degrees = np.array([len(users) for users in likers], np.int64)
    users = [row_of[user] for some in likers for user in some]
    ends = np.concatenate([[0], np.cumsum(degrees)])
    own = np.ones(len(users), np.float32)
    own *= np.repeat(power(degrees, -model.recipe.item_exponent), degrees)
    own *= powers[users]
    shape = (len(likers), len(likes))
    whole = (sparse.csr_array((own, users, ends), shape=shape) @ normalised).tocsr()
    keep = model.recipe.similar_items
    if not _has_factors(model):
        return NewRows(_cut(whole, keep), np.zeros((len(likers), 0), np.float32), 1.0)
    eigenvalues = _eigenvalues(model)
    inverse = np.divide(1, eigenvalues, out=np.zeros_like(eigenvalues), where=eigenvalues > _TINY)
    vectors: FloatArray = (whole @ model.item_factors) * inverse
    if not model.doubled.any():  # `spectral`, or nothing left for links to continue
        return NewRows(empty_matrix(*whole.shape), vectors, 0.0)
    tail = float(model.spectrum[-1] / eigenvalues[-1])
    return NewRows(_cut(whole, _ENTRIES_NEXT_TO_FACTORS * keep), vectors, tail)


_TINY = np.finfo(np.float32).tiny


def _has_factors(model: Model) -> bool:
    return bool(len(model.spectrum) and model.spectrum.any())


def _eigenvalues(model: Model) -> FloatArray:
    """Return e [d], by inverting the filter ``h = e / (e + lambda)``."""
    spectrum = np.asarray(model.spectrum, np.float64)
    found = model.recipe.ridge * spectrum / np.maximum(1 - spectrum, np.finfo(np.float32).eps)
    return found.astype(np.float32)


def _normalised(
    model: Model, likes: Mapping[UserId, Collection[ItemId]], powers: FloatArray
) -> CsrMatrix:
    """Return the rows of R of these users, CSR [users, n]; a sample of those of a user with too many."""
    most = model.recipe.max_likes_per_user
    rows = [sampled(one, most) for one in rows_of_each(model, [*likes.values()])]
    lengths = [len(one) for one in rows]
    columns = np.concatenate([np.zeros(0, np.intp), *rows])
    values = np.repeat(powers, lengths)
    values *= power(model.item_counts, -model.recipe.item_exponent)[columns]
    ends = np.concatenate([[0], np.cumsum(lengths)])
    return sparse.csr_array((values, columns, ends), shape=(len(likes), len(model.item_ids)))


def _user_powers(model: Model, likes: Mapping[UserId, Collection[ItemId]]) -> FloatArray:
    """Return ``d_u^-a`` of each user; items that the model does not know count, as they will in R."""
    most = model.recipe.max_likes_per_user
    degrees = np.array([min(len(items), most) for items in likes.values()], np.int64)
    return power(degrees, -model.recipe.user_exponent)


def _cut(rows: CsrMatrix, keep: int) -> CsrMatrix:
    """Return the rows with the `keep` largest entries of each."""
    if (np.diff(rows.indptr) <= keep).all():
        return rows
    kept = [
        start + largest_places(rows.data[start:end], keep)
        for start, end in zip(rows.indptr[:-1], rows.indptr[1:], strict=True)
    ]
    places = np.concatenate(kept)
    ends = np.concatenate([[0], np.cumsum([len(one) for one in kept])])
    return sparse.csr_array((rows.data[places], rows.indices[places], ends), shape=rows.shape)
