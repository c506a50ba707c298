"""One measurement: the likes that models are fitted on, and the likes they should predict."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.sparse import csr_array

from indexer.interactions import Interactions
from likewise.evaluation.likes.known_signals import are_timed, known_signals
from likewise.evaluation.likes.pairs import in_common, matrix_of, merged, places_in
from likewise.messages.ids import DISLIKE, HIDE
from likewise.ranking.queries import RowQuery

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from likewise.evaluation.likes.pairs import Common, Pairs
    from likewise.evaluation.likes.table import LikeTable, Split
    from likewise.messages.ids import ItemId, SignalKind
    from likewise.ranking.array_types import CsrMatrix, FloatArray


class OtherSignals(NamedTuple):
    """What users did besides likes: how each is ranked for with it."""

    like_counts: NDArray[np.intp]
    """[items of fit] number of likes."""
    liked: CsrMatrix
    """CSR [users, items of fit] ones for likes."""
    asked: CsrMatrix
    """CSR [users, items of fit] the weights that each user is ranked by; below 0 for a dislike."""
    banned: CsrMatrix
    """CSR [users, items of fit] what is never recommended to each user."""


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """What to fit on, and the held-out likes of each user who has any.

    All row numbers are those of `fit`. Models built from `fit` have the same item rows.
    """

    fit: Interactions
    """The likes, and the weighted signals that were known."""
    user_rows: NDArray[np.intp]
    """[users] rows in `fit`; -1 for a user without likes there."""
    wanted: CsrMatrix
    """CSR [users, items of fit], the held-out likes. Items that are not in `fit` are omitted, since no
    model could recommend them."""
    wanted_counts: NDArray[np.intp]
    """[users] number of held-out likes, including items that are not in `fit`; at least 1."""
    others: OtherSignals | None = None
    """None if there are only likes."""

    @property
    def like_counts(self) -> NDArray[np.intp]:
        """[items of fit] number of likes in `fit`."""
        if self.others is not None:
            return self.others.like_counts
        return np.bincount(self.fit.user_items.indices, minlength=len(self.fit.item_ids))

    @property
    def activity(self) -> NDArray[np.intp]:
        """[users] number of likes in `fit`."""
        return np.array([len(liked) for liked in self.liked()], np.intp)

    def liked(self) -> list[NDArray[np.intp]]:
        """Return the items that each user likes in `fit`, in order of row."""
        if self.others is not None:
            return [rows for rows, _ in _rows_of(self.others.liked)]
        indptr, indices = self.fit.user_items.indptr, self.fit.user_items.indices.astype(np.intp)
        return [
            indices[indptr[row] : indptr[row + 1]] if row >= 0 else indices[:0]
            for row in self.user_rows
        ]

    def queries(self) -> list[RowQuery]:
        """Return the query of each user, without a limit: ranked by all signals, without what is liked."""
        if self.others is None:
            return [RowQuery(rows, rows, 0) for rows in self.liked()]
        pairs = zip(_rows_of(self.others.asked), _rows_of(self.others.banned), strict=True)
        return [
            RowQuery(rows, banned, 0, weights=None if (weights == 1).all() else weights)
            for (rows, weights), (banned, _) in pairs
        ]


def hold_out(
    likes: LikeTable,
    splits: NDArray[np.int8],
    *,
    fit: Collection[Split],
    wanted: Split,
    weights: Mapping[SignalKind, float] | None = None,
) -> HeldOut:
    """Return the measurement that fits on some splits and predicts the likes of another.

    `weights` has the kinds of other signals that are part of it: with a positive weight in the fit and in
    the queries, with a negative one in the queries alone. A like weighs 1 unless its kind is in `weights`.
    """
    weights = weights or {}
    kinds = [kind for kind in sorted(likes.others) if kind in weights]
    common = in_common([likes, *(likes.others[kind] for kind in kinds)])
    target, *others = common.pairs
    fitted = np.isin(splits, list(fit))
    liked = _Part(likes.kind, weights.get(likes.kind, 1.0), target.where(fitted))
    parts = []
    for kind, pairs in zip(kinds, others, strict=True):
        table = likes.others[kind]
        known = known_signals(likes, table, target, pairs, ~fitted, fit)
        parts.append(_Part(kind, weights[kind], pairs.where(known)))
    held_out = _measurement(common, [liked, *parts], target.where(splits == wanted))
    if not kinds:
        return held_out
    timed = all(are_timed(likes, likes.others[kind]) for kind in kinds)
    never = [liked, *(part for part in parts if part.kind in _NEVER_SHOWN or not timed)]
    frame = _Frame(common, np.unique(target.users[splits == wanted]), held_out.fit.item_ids)
    return replace(
        held_out,
        others=OtherSignals(
            like_counts=frame.counts(liked.pairs),
            liked=frame.matrix([(1.0, liked.pairs)]),
            asked=frame.matrix(_by_weight([liked, *parts])),
            banned=frame.matrix([(1.0, part.pairs) for part in never]),
        ),
    )


_NEVER_SHOWN = frozenset({DISLIKE, HIDE})


class _Part(NamedTuple):
    """The signals of one kind that were known."""

    kind: SignalKind
    weight: float
    pairs: Pairs


def _by_weight(parts: Sequence[_Part]) -> list[tuple[float, Pairs]]:
    """Return the parts that count, in the order in which each replaces those before it.

    The largest weight of a pair counts; but a dislike counts in place of whatever else there is.
    """
    order = sorted(parts, key=lambda part: (part.weight < 0, part.weight))
    return [(part.weight, part.pairs) for part in order if part.weight]


def _measurement(common: Common, parts: Sequence[_Part], wanted: Pairs) -> HeldOut:
    """Return the measurement that fits on the parts with positive weights."""
    positive = _by_weight([part for part in parts if part.weight > 0])
    fitted, weights = merged(positive, len(common.item_ids))
    fit_users, row_of_fitted = np.unique(fitted.users, return_inverse=True)
    fit_items, column_of_fitted = np.unique(fitted.items, return_inverse=True)
    shape = (len(fit_users), len(fit_items))
    user_items = csr_array((weights, (row_of_fitted, column_of_fitted)), shape=shape)
    user_items.sort_indices()
    interactions = Interactions(
        user_items,
        [common.user_ids[user] for user in fit_users],
        [common.item_ids[item] for item in fit_items],
    )
    asked_users, query_of_wanted = np.unique(wanted.users, return_inverse=True)
    return HeldOut(
        interactions,
        places_in(fit_users, asked_users),
        matrix_of(wanted, 1.0, asked_users, fit_items),
        np.bincount(query_of_wanted, minlength=len(asked_users)),
    )


class _Frame:
    """The users to rank for and the items of the fit: the axes of the queries."""

    def __init__(self, common: Common, users: NDArray[np.intp], item_ids: Sequence[ItemId]) -> None:
        numbers = {item: number for number, item in enumerate(common.item_ids)}
        self._items = np.array([numbers[item] for item in item_ids], np.intp)
        self._users = users
        self._n_items = len(numbers)

    def matrix(self, parts: Sequence[tuple[float, Pairs]]) -> CsrMatrix:
        """Return the pairs of these users and items, CSR, each with the weight of its last part."""
        pairs, weights = merged(parts, self._n_items)
        return matrix_of(pairs, weights, self._users, self._items)

    def counts(self, pairs: Pairs) -> NDArray[np.intp]:
        """Return how many of the pairs each item is in, [items]."""
        columns = places_in(self._items, pairs.items)
        return np.bincount(columns[columns >= 0], minlength=len(self._items))


def _rows_of(matrix: CsrMatrix) -> list[tuple[NDArray[np.intp], FloatArray]]:
    """Return the columns and the values of each row."""
    columns, ends = matrix.indices.astype(np.intp), matrix.indptr.tolist()
    return [(columns[a:b], matrix.data[a:b]) for a, b in pairwise(ends)]
