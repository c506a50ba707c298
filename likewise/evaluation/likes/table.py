"""Likes with their times and splits, as arrays: the input of an evaluation.

The same likes give the same table, in any order of reading.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from indexer.interactions import UserLikes, interactions_of
from likewise.messages.events import ForgetUser, Like, Unlike
from likewise.messages.ids import ItemId

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from indexer.interactions import Interactions
    from likewise.messages.events import Event
    from likewise.messages.ids import UserId


class Split(IntEnum):
    """The use of a like: models are fitted on TRAIN, tuned on VALID, measured on TEST."""

    TRAIN = 0
    VALID = 1
    TEST = 2


DividedBy = Literal["column", "until"]
"""The origin of the splits: a column of the file, or the point where train ends."""


class Stamp(NamedTuple):
    """The attributes of a like other than user and item."""

    time_ms: int | None = None
    split: Split | None = None


@dataclass(frozen=True, slots=True, eq=False)
class LikeTable:
    """Who likes what, and when. Likes are in the order of `interactions.user_items`."""

    interactions: Interactions
    times_ms: NDArray[np.int64] | None
    """[likes]; None where any like has no time."""
    splits: NDArray[np.int8] | None
    """[likes] of `Split`; None if the source has no splits."""
    divided_by: DividedBy = "column"
    """The origin of the splits, if there are any."""

    @property
    def users(self) -> NDArray[np.intp]:
        """[likes] the row of the user who likes."""
        lengths = np.diff(self.interactions.user_items.indptr)
        return np.repeat(np.arange(len(lengths)), lengths)


@dataclass(slots=True)
class LikeCollector:
    """Applies events in order to get the final likes; an unlike removes a like.

    A like that is repeated keeps its first time and split.
    """

    likes: dict[UserId, dict[ItemId, Stamp]] = field(default_factory=dict)
    _stamps: dict[Stamp, Stamp] = field(default_factory=dict)
    """Shares one object among equal stamps, since files repeat stamps and item ids many times."""

    def add(self, event: Event, stamp: Stamp) -> None:
        """Apply the next event. Likes of retired items remain, since they still show the user's taste."""
        match event:
            case Like(user_id, item_id):
                items = self.likes.setdefault(user_id, {})
                known = self._stamps.setdefault(stamp, stamp)
                items.setdefault(ItemId(sys.intern(item_id)), known)
            case Unlike(user_id, item_id):
                self.likes.get(user_id, {}).pop(item_id, None)
            case ForgetUser(user_id):
                self.likes.pop(user_id, None)

    def split_of(self, user_id: UserId, item_id: ItemId) -> Split | None:
        """Return the split of the like; None if there is no such like, or it has no split."""
        stamp = self.likes.get(user_id, {}).get(item_id)
        return None if stamp is None else stamp.split

    def table(self, *, divided_by: DividedBy = "column") -> LikeTable:
        """Return the likes after the events so far."""
        users = sorted(user for user, items in self.likes.items() if items)
        interactions = interactions_of([UserLikes(users, [self.likes[user] for user in users])])
        # Sorted as the matrix is: by user id, then by item id.
        stamps = [self.likes[user][item] for user in users for item in sorted(self.likes[user])]
        times = [stamp.time_ms for stamp in stamps if stamp.time_ms is not None]
        splits = [stamp.split for stamp in stamps if stamp.split is not None]
        return LikeTable(
            interactions,
            np.array(times, np.int64) if times and len(times) == len(stamps) else None,
            np.array(splits, np.int8) if splits and len(splits) == len(stamps) else None,
            divided_by,
        )
