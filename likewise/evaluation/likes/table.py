"""Likes and other signals with their times and splits, as arrays: the input of an evaluation.

The same likes give the same table, in any order of reading.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from indexer.interactions import UserLikes, interactions_of
from likewise.evaluation.errors import EvaluationError
from likewise.messages.events import ForgetUser, Like, MergeUsers, Signal, Unlike, Unsignal
from likewise.messages.ids import ItemId, SignalKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from indexer.interactions import Interactions
    from likewise.messages.events import Event
    from likewise.messages.ids import UserId


LIKE = SignalKind("like")


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
    """Who likes what, and when. Likes are in the order of `interactions.user_items`, which are ones.

    In an evaluation of another target than likes, these are signals of the target kind.
    """

    interactions: Interactions
    times_ms: NDArray[np.int64] | None
    """[likes]; None where any like has no time."""
    splits: NDArray[np.int8] | None
    """[likes] of `Split`; None if the source has no splits."""
    divided_by: DividedBy = "column"
    """The origin of the splits, if there are any."""
    kind: SignalKind = LIKE
    others: Mapping[SignalKind, LikeTable] = field(default_factory=dict)
    """The signals of all other kinds, by kind."""

    @property
    def users(self) -> NDArray[np.intp]:
        """[likes] the row of the user who likes."""
        lengths = np.diff(self.interactions.user_items.indptr)
        return np.repeat(np.arange(len(lengths)), lengths)

    def __bool__(self) -> bool:
        """Whether there are any likes."""
        return self.interactions.likes > 0


class Said(NamedTuple):
    """What an event says of a user and an item: that a signal of a kind holds, or that it no longer does."""

    kind: SignalKind
    user_id: UserId
    item_id: ItemId
    holds: bool


def said(event: Event) -> Said | None:
    """Return what an event says of a user and an item; None if it is about anything else."""
    match event:
        case Like(user_id, item_id):
            return Said(LIKE, user_id, item_id, True)
        case Unlike(user_id, item_id):
            return Said(LIKE, user_id, item_id, False)
        case Signal(user_id, item_id, kind):
            return Said(kind, user_id, item_id, True)
        case Unsignal(user_id, item_id, kind):
            return Said(kind, user_id, item_id, False)
    return None


Stamps = dict["UserId", "dict[ItemId, Stamp]"]


@dataclass(slots=True)
class LikeCollector:
    """Applies events in order to get the final likes and other signals; an unlike removes a like.

    A like that is repeated keeps its first time and split.
    """

    _by_kind: dict[SignalKind, Stamps] = field(default_factory=dict)
    _stamps: dict[Stamp, Stamp] = field(default_factory=dict)
    """Shares one object among equal stamps, since files repeat stamps and item ids many times."""

    def add(self, event: Event, stamp: Stamp) -> None:
        """Apply the next event. Likes of retired items remain, since they still show the user's taste."""
        told = said(event)
        if told is not None and told.holds:
            items = self._by_kind.setdefault(told.kind, {}).setdefault(told.user_id, {})
            known = self._stamps.setdefault(stamp, stamp)
            items.setdefault(ItemId(sys.intern(told.item_id)), known)
        elif told is not None:
            self.remove(told)
        elif isinstance(event, ForgetUser | MergeUsers):
            for users in self._by_kind.values():
                moved = users.pop(event.user_id, {})
                if isinstance(event, MergeUsers) and moved:
                    users[event.into] = moved | users.get(event.into, {})

    def remove(self, told: Said) -> None:
        """Remove the signal, if there is one."""
        self._by_kind.get(told.kind, {}).get(told.user_id, {}).pop(told.item_id, None)

    def split_of(self, told: Said) -> Split | None:
        """Return the split of such a signal; None if there is no such signal, or it has no split."""
        stamp = self._by_kind.get(told.kind, {}).get(told.user_id, {}).get(told.item_id)
        return None if stamp is None else stamp.split

    def table(
        self, target: SignalKind | None = None, *, divided_by: DividedBy = "column"
    ) -> LikeTable:
        """Return the signals of the target kind after the events so far, with those of other kinds.

        The default target is `like`, or the only kind that there is.

        Raises:
            EvaluationError: there are no likes, and several kinds to choose the target from.
        """
        tables = {
            kind: _table(kind, users, divided_by) for kind, users in sorted(self._by_kind.items())
        }
        return with_target(tables, target)


def with_target(tables: Mapping[SignalKind, LikeTable], target: SignalKind | None) -> LikeTable:
    """Return the table of the target kind, with the others; without any, an empty table of likes.

    Raises:
        EvaluationError: there is no signal of the target kind, or no target is given and it could be several.
    """
    tables = {kind: table for kind, table in tables.items() if table}
    names = ", ".join(tables)
    if target is None:
        target = LIKE if LIKE in tables or len(tables) != 1 else next(iter(tables))
        if tables and target not in tables:
            raise EvaluationError(
                f"there are no likes; choose a target kind with --target: {names}"
            )
    elif target not in tables:
        raise EvaluationError(
            f"there are no signals of the target kind {target!r}; there are: {names or 'none'}"
        )
    others = {kind: table for kind, table in tables.items() if kind != target}
    return replace(tables.get(target) or _table(target, {}, "column"), others=others)


def _table(kind: SignalKind, likes: Stamps, divided_by: DividedBy) -> LikeTable:
    users = sorted(user for user, items in likes.items() if items)
    interactions = interactions_of([UserLikes(users, [likes[user] for user in users])])
    # Sorted as the matrix is: by user id, then by item id.
    stamps = [likes[user][item] for user in users for item in sorted(likes[user])]
    times = [stamp.time_ms for stamp in stamps if stamp.time_ms is not None]
    splits = [stamp.split for stamp in stamps if stamp.split is not None]
    return LikeTable(
        interactions,
        np.array(times, np.int64) if times and len(times) == len(stamps) else None,
        np.array(splits, np.int8) if splits and len(splits) == len(stamps) else None,
        divided_by,
        kind,
    )
