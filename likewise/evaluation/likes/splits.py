"""Splits likes into train, valid and test.

Each user's likes are split separately, so that every user with enough likes is measured. If likes have
times, the last ones are held out, because a recommender has to predict the future.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from likewise.evaluation.errors import EvaluationError
from likewise.evaluation.likes.table import Split

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from likewise.evaluation.likes.table import LikeTable

_VALID_SHARE = 0.1
_TEST_SHARE_BY_TIME = 0.2
_TEST_SHARE_AT_RANDOM = 0.1
# With fewer likes, none would be left to train on after one for test and one for valid.
_FEWEST_LIKES = 3

Origin = Literal[
    "column",
    "column, valid taken out of train",
    "until, valid taken out of train",
    "time",
    "random",
]


class Division(NamedTuple):
    """The split of every like [likes], int8 of `Split`, and how it was made."""

    splits: NDArray[np.int8]
    origin: Origin


def divide(likes: LikeTable, *, seed: int) -> Division:
    """Return the splits that come with the likes, or new ones; equal seeds give equal splits.

    New splits use the last 10% of each user's likes as test and the 10% before them as valid; by time
    they use 20% as test. Users with fewer than three likes stay in train. If the likes come with train
    and test only, a tenth of train becomes valid, by time or at random.

    Raises:
        EvaluationError: no likes are left to train on, or to test with.
    """
    splits = likes.splits
    origin: Origin = "random" if likes.times_ms is None else "time"
    if splits is None:
        test = _TEST_SHARE_AT_RANDOM if likes.times_ms is None else _TEST_SHARE_BY_TIME
        everything = np.ones(likes.interactions.likes, np.bool_)
        splits = _last_ones(likes, everything, {Split.TEST: test, Split.VALID: _VALID_SHARE}, seed)
    elif (splits == Split.VALID).any():
        origin = "column"
    else:
        by_column = likes.divided_by == "column"
        origin = (
            "column, valid taken out of train" if by_column else "until, valid taken out of train"
        )
        train = splits == Split.TRAIN
        splits = np.maximum(splits, _last_ones(likes, train, {Split.VALID: _VALID_SHARE}, seed))
    for split in (Split.TRAIN, Split.TEST):
        if not (splits == split).any():
            raise EvaluationError(
                f"no like is in {split.name.lower()}: "
                f"{likes.interactions.likes} likes of {len(likes.interactions.user_ids)} users "
                "are too few to divide, or the column `split` names none"
            )
    return Division(splits, origin)


def _last_ones(
    likes: LikeTable, among: NDArray[np.bool_], shares: dict[Split, float], seed: int
) -> NDArray[np.int8]:
    """Return splits [likes]: the last of each user's likes in `among` are held out, the others TRAIN.

    `shares` are taken from the end, in their order; each is rounded, and at least one like. Likes with
    equal times, or without times, are ordered at random by the seed.
    """
    places = np.flatnonzero(among)
    users = likes.users[places]
    times = np.zeros(len(places)) if likes.times_ms is None else likes.times_ms[places]
    drawn = np.random.default_rng(seed).permutation(len(places))
    order = np.lexsort((drawn, times, users))
    lengths = np.bincount(users, minlength=len(likes.interactions.user_ids))
    ends = np.cumsum(lengths)
    from_end = (ends[users] - 1)[order] - np.arange(len(places))
    enough = lengths >= _FEWEST_LIKES
    splits = np.full(len(among), Split.TRAIN, np.int8)
    taken = np.zeros(len(lengths), np.int64)
    for split, share in shares.items():
        upto = taken + np.where(enough, np.maximum(np.rint(share * lengths), 1), 0).astype(np.int64)
        chosen = (from_end >= taken[users]) & (from_end < upto[users])
        splits[places[order[chosen]]] = split
        taken = upto
    return splits
