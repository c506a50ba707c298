"""Ranking metrics of each user's recommendation list.

The ranking is full: a list has the best of all items that the user does not like yet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from likewise.evaluation.likes.held_out import HeldOut
    from likewise.ranking.array_types import CsrMatrix

METRICS = ("recall", "ndcg", "hit_rate", "mrr", "novelty", "popular_share")
"""The columns of `per_user`. Higher is better, except for the last."""
ACCURACY = METRICS[:4]
POPULAR_SHARE_OF_ITEMS = 0.1
"""The most liked tenth of the items counts as popular."""


def per_user(
    top: NDArray[np.intp], held_out: HeldOut, users: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Return every metric of each list, [lists, len(METRICS)].

    `top` [lists, k] has item rows, best first, padded with -1 if a list is shorter than k; `users`
    [lists] are indexes into `held_out`. For a user with t held-out likes:

    - recall: hits / t;
    - ndcg: binary gains with discount 1/log2(1 + rank), divided by that of min(k, t) hits (Järvelin
      and Kekäläinen, "Cumulated Gain-Based Evaluation of IR Techniques", 2002);
    - hit_rate: 1 if there is a hit;
    - mrr: 1 / rank of the first hit, 0 without one (Voorhees, "The TREC-8 Question Answering
      Track Report", 1999, cut at k);
    - novelty: mean self-information -log2(share of users who like it) of the items (Zhou et
      al., "Solving the Apparent Diversity-Accuracy Dilemma", 2010);
    - popular_share: the share of items that are among the most liked tenth.
    """
    k = top.shape[1]
    hits = _hits(top, held_out.wanted[users])
    totals = held_out.wanted_counts[users]
    discounts = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.cumsum(discounts)[np.minimum(totals, k) - 1]
    first = np.where(hits.any(axis=1), 1 / (1 + hits.argmax(axis=1)), 0.0)
    given = top >= 0
    likes = held_out.like_counts
    surprise = -np.log2(np.maximum(likes, 1) / max(len(held_out.fit.user_ids), 1))
    lengths = np.maximum(given.sum(axis=1), 1)
    return np.column_stack(
        [
            hits.sum(axis=1) / totals,
            hits @ discounts / ideal,
            hits.any(axis=1),
            first,
            np.where(given, surprise[top], 0).sum(axis=1) / lengths,
            (given & popular_items(likes)[top]).sum(axis=1) / lengths,
        ]
    ).astype(np.float64)


def coverage(top: NDArray[np.intp], n_items: int) -> float:
    """Return the share of all items that are in at least one list."""
    return len(np.unique(top[top >= 0])) / max(n_items, 1)


def intra_list_diversity(top: NDArray[np.intp], user_items: CsrMatrix) -> NDArray[np.float64]:
    """Return for each list [lists] the mean of 1 - cosine over all pairs of its items, 0 to 1.

    The similarity of two items is the cosine of their columns in the interaction matrix, for every
    ranker; its weights do not count. Intra-list similarity is from Ziegler et al., "Improving Recommendation Lists Through Topic
    Diversification", WWW 2005. A list of fewer than two items has 0.
    """
    given = top >= 0
    lengths = given.sum(axis=1)
    likes = np.bincount(user_items.indices, minlength=user_items.shape[1])
    # The squared norm of a sum of n unit vectors is n plus twice the sum of the cosines of all pairs.
    units = (1 / np.sqrt(np.maximum(likes, 1)))[top[given]]
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    lists = csr_array((units, top[given], indptr), shape=(len(top), user_items.shape[1]))
    tables = (np.ones_like(user_items.data), user_items.indices, user_items.indptr)
    ones = csr_array(tables, shape=user_items.shape)
    squares = (lists @ ones.T.tocsr()).power(2).sum(axis=1)
    pairs = lengths * (lengths - 1)
    cosines = np.divide(squares - lengths, pairs, out=np.ones(len(top)), where=pairs > 0)
    diversity: NDArray[np.float64] = 1 - cosines
    return diversity


def popular_items(likes: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Return which items [n] are the most liked tenth, at least one; ties are broken by row."""
    count = max(round(POPULAR_SHARE_OF_ITEMS * len(likes)), 1)
    popular = np.zeros(len(likes), np.bool_)
    popular[np.argsort(-likes, kind="stable")[:count]] = True
    return popular


def _hits(top: NDArray[np.intp], wanted: CsrMatrix) -> NDArray[np.bool_]:
    """Return which entries of the lists [lists, k] are wanted items."""
    lists, n_items = wanted.shape
    rows = np.arange(lists)
    keys = (rows * n_items)[:, None] + top
    rows_of_wanted = np.repeat(rows, np.diff(wanted.indptr))
    wanted_keys = rows_of_wanted * n_items + wanted.indices.astype(np.intp)
    return np.isin(keys, wanted_keys) & (top >= 0)
