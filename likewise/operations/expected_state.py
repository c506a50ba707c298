"""What every user should like according to the likes topic alone, to compare with the store.

Applies the events one by one, as simply as possible, and shares no code with the consumers, so that
a bug there can't hide itself.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

from likewise.messages.events import BeyondLikes, ForgetUser, Like, RestoreItem, RetireItem
from likewise.messages.ids import ItemId
from likewise.operations.merging import Merged

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from likewise.messages.events import Event
    from likewise.messages.ids import UserId
    from likewise.records import Record


class Difference(NamedTuple):
    """The items by which a stored set differs from the log.

    The log proves nothing about `unproven` items: the events that decide them may have been removed
    from its start.
    """

    missing: frozenset[ItemId] = frozenset()
    extra: frozenset[ItemId] = frozenset()
    unproven: frozenset[ItemId] = frozenset()

    @property
    def proven(self) -> bool:
        """Whether the store is proven wrong."""
        return bool(self.missing or self.extra)


class ExpectedState:
    """The state after the events so far. Takes memory for one set per user; ids are shared.

    `whole` means that the log still has its first event, so that it proves everything. Users with
    events in several partitions are `unmerged` until `merge` has seen all their events, from the start
    of the log.
    """

    def __init__(self, *, whole: bool) -> None:
        self.likes: dict[UserId, set[ItemId]] = {}
        self.merged: dict[UserId, Merged] = {}
        self.unmerged: set[UserId] = set()
        self.cut_ms = 0
        """The time since which the log is complete: the latest timestamp at which a partition starts."""
        self._catalogue = Merged()
        self._whole = whole
        # Removed likes are kept only if the log has lost its start. They prove that a stored like is
        # wrong even though the log does not have the event that added it.
        self._unlikes: dict[UserId, set[ItemId]] = {}
        self._forgotten: set[UserId] = set()
        self._partitions: dict[UserId, int] = {}

    def apply(self, event: Event, record: Record) -> None:
        """Apply the next event of a partition."""
        if isinstance(event, RetireItem | RestoreItem):
            self._catalogue.add(event, record)
            return
        user_id = event.user_id
        if user_id in self.merged:
            self.merged[user_id].add(event, record)
            return
        if self._partitions.setdefault(user_id, record.partition) != record.partition:
            self.unmerged.add(user_id)
        if isinstance(event, ForgetUser):
            self._forget(user_id)
        elif not isinstance(event, BeyondLikes):
            self._set_like(
                user_id, ItemId(sys.intern(event.item_id)), liked=isinstance(event, Like)
            )

    def merge(self, event: Event, record: Record) -> None:
        """Apply the next event of a partition again if it is about an unmerged user."""
        if isinstance(event, RetireItem | RestoreItem) or event.user_id not in self.unmerged:
            return
        self.merged.setdefault(event.user_id, Merged()).add(event, record)

    def end_merge(self) -> None:
        """Record that all events so far are merged."""
        for user_id in self.unmerged:
            self.likes.pop(user_id, None)
        self.unmerged.clear()

    def difference(self, user_id: UserId, stored: AbstractSet[ItemId]) -> Difference:
        """Return how the stored likes of the user differ from the log."""
        if user_id in self.merged:
            return self._merged_difference(self.merged[user_id], stored)
        likes = self.likes.get(user_id, set())
        missing, surplus = likes - stored, stored - likes
        extra = surplus
        if not self._whole and user_id not in self._forgotten:
            extra = surplus & self._unlikes.get(user_id, set())
        return Difference(frozenset(missing), frozenset(extra), frozenset(surplus - extra))

    def retired_difference(self, stored: AbstractSet[ItemId]) -> Difference:
        """Return how the stored retired items differ from the log."""
        return self._merged_difference(self._catalogue, stored)

    def _merged_difference(self, merged: Merged, stored: AbstractSet[ItemId]) -> Difference:
        likes = merged.likes()
        missing, surplus = likes - stored, stored - likes
        if self._whole:
            return Difference(frozenset(missing), frozenset(surplus))
        # Within one partition, an event still in the log overrides all earlier ones.
        known = merged.settled_since(self.cut_ms if merged.partitions > 1 else 0)
        extra = surplus if known is None else surplus & known
        proven = missing if known is None else missing & known
        return Difference(
            frozenset(proven), frozenset(extra), frozenset((missing | surplus) - proven - extra)
        )

    def _set_like(self, user_id: UserId, item_id: ItemId, *, liked: bool) -> None:
        likes = self.likes.setdefault(user_id, set())
        if liked:
            likes.add(item_id)
        else:
            likes.discard(item_id)
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
