"""Replay: what the likes topic alone says about every user, to hold against the store.

The events are applied one by one, in the plainest way there is, and not with the consumers' own
folding: a fault there would otherwise hide itself.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

from likewise.events import ForgetUser, Like, RestoreItem, RetireItem, Unlike
from likewise.ids import ItemId

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from likewise.events import Event
    from likewise.ids import UserId


class Difference(NamedTuple):
    """Items by which a stored set differs from what the log says.

    Of `unproven` items the store has more than the log can speak of: the events that put them
    there may have been before the log's beginning, or it holds no order between partitions.
    """

    missing: frozenset[ItemId] = frozenset()
    extra: frozenset[ItemId] = frozenset()
    unproven: frozenset[ItemId] = frozenset()

    @property
    def proven(self) -> bool:
        """Whether the store is wrong, whatever the log doesn't reach back to."""
        return bool(self.missing or self.extra)


class Replay:
    """The state that the events so far come to. Memory: one set per user, ids shared.

    `whole` says that the log begins with its first event: then there is nothing it doesn't know.
    """

    def __init__(self, *, whole: bool) -> None:
        self.likes: dict[UserId, set[ItemId]] = {}
        self.retired: set[ItemId] = set()
        self._whole = whole
        # What was taken away is kept only where the log is cut: it proves that a stored like,
        # of which nothing else is known, is one too many.
        self._unlikes: dict[UserId, set[ItemId]] = {}
        self._forgotten: set[UserId] = set()
        self._restored: set[ItemId] = set()
        self._partitions: dict[UserId, int] = {}
        self._scattered: set[UserId] = set()
        self._lost_some: set[UserId] = set()

    def apply(self, event: Event, partition: int) -> None:
        """Take in the next event of a partition."""
        match event:
            case Like(user_id, item_id) | Unlike(user_id, item_id):
                self._note_partition(user_id, partition)
                self._set_like(user_id, ItemId(sys.intern(item_id)), liked=isinstance(event, Like))
            case ForgetUser(user_id):
                self._note_partition(user_id, partition)
                self._forget(user_id)
            case RetireItem(item_id):
                self.retired.add(item_id)
                self._restored.discard(item_id)
            case RestoreItem(item_id):
                self.retired.discard(item_id)
                self._restored.add(item_id)

    def difference(self, user_id: UserId, stored: AbstractSet[ItemId]) -> Difference:
        """Return how what is stored for the user differs from what the log says.

        The events of a user that lie in several partitions (published without a key, or by clients
        that partition differently) have no defined order: nothing is proven of such a user, unless
        they are likes only.
        """
        likes = self.likes.get(user_id, set())
        missing, surplus = likes - stored, stored - likes
        if user_id in self._scattered and user_id in self._lost_some:
            return Difference(unproven=frozenset(missing | surplus))
        extra = surplus
        if not self._whole and user_id not in self._forgotten:
            extra = surplus & self._unlikes.get(user_id, set())
        return Difference(frozenset(missing), frozenset(extra), frozenset(surplus - extra))

    def retired_difference(self, stored: AbstractSet[ItemId]) -> Difference:
        """Return how the stored retired items differ from what the log says."""
        surplus = stored - self.retired
        extra = surplus if self._whole else surplus & self._restored
        missing = self.retired - stored
        return Difference(frozenset(missing), frozenset(extra), frozenset(surplus - extra))

    def _note_partition(self, user_id: UserId, partition: int) -> None:
        if self._partitions.setdefault(user_id, partition) != partition:
            self._scattered.add(user_id)

    def _set_like(self, user_id: UserId, item_id: ItemId, *, liked: bool) -> None:
        likes = self.likes.setdefault(user_id, set())
        if liked:
            likes.add(item_id)
        else:
            likes.discard(item_id)
            self._lost_some.add(user_id)
        if not self._whole:
            unlikes = self._unlikes.setdefault(user_id, set())
            if liked:
                unlikes.discard(item_id)
            else:
                unlikes.add(item_id)

    def _forget(self, user_id: UserId) -> None:
        self.likes.pop(user_id, None)
        self._unlikes.pop(user_id, None)
        self._forgotten.add(user_id)
        self._lost_some.add(user_id)
