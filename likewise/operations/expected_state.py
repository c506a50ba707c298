"""What every user should like, and have signalled, according to the likes topic alone, to compare with the store.

Applies the events one by one, as simply as possible, and shares no code with the consumers, so that
a bug there can't hide itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from likewise.messages.events import MergeUsers, RestoreItem, RetireItem, users_of
from likewise.operations.compact_sets import CompactSets
from likewise.operations.merging import Merged
from likewise.operations.moved_users import MovedUsers
from likewise.operations.things import change_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Set as AbstractSet

    from likewise.messages.events import Event
    from likewise.messages.ids import UserId
    from likewise.operations.things import Thing
    from likewise.records import Record


class Difference(NamedTuple):
    """The likes and signals by which the store differs from the log, for one user.

    The log proves nothing about those that are `unproven`: the events that decide them may have been
    removed from its start, or a guest had events in several partitions.
    """

    missing: frozenset[Thing] = frozenset()
    extra: frozenset[Thing] = frozenset()
    unproven: frozenset[Thing] = frozenset()

    @property
    def proven(self) -> bool:
        """Whether the store is proven wrong."""
        return bool(self.missing or self.extra)


class ExpectedState:
    """The state after the events so far. Takes memory for each like; item ids are shared.

    `whole` means that the log still has its first event, so that it proves everything. Users with
    events in several partitions are `unmerged` until `merge` has seen all their events, from the start
    of the log.
    """

    def __init__(self, *, whole: bool) -> None:
        self.likes = CompactSets()
        self.merged: dict[UserId, Merged] = {}
        self.moved = MovedUsers()
        self.unmerged: set[UserId] = set()
        self.cut_ms = 0
        """The time since which the log is complete: the latest timestamp at which a partition starts."""
        self._catalogue = Merged()
        self._whole = whole
        # Removed likes are kept only if the log has lost its start. They prove that a stored like is
        # wrong even though the log does not have the event that added it.
        self._unlikes = CompactSets()
        self._forgotten: set[UserId] = set()
        self._partitions: dict[UserId, int] = {}
        self._moving: set[UserId] = set()

    def users(self) -> Iterator[UserId]:
        """Yield each user who may have something once."""
        yield from self.likes.users()
        yield from (user for user in self.merged if user not in self.likes.users())
        others = self._moving - self.likes.users() - self.merged.keys()
        yield from others

    def knows(self, user_id: UserId) -> bool:
        """Whether the user is one of `users`."""
        return user_id in self.likes.users() or user_id in self.merged or user_id in self._moving

    def apply(self, event: Event, record: Record) -> None:
        """Apply the next event of a partition."""
        if isinstance(event, RetireItem | RestoreItem):
            self._catalogue.add(event, record)
            return
        for user_id in users_of(event):
            if user_id in self._moving:
                if user_id not in self.unmerged:
                    self.moved.add(user_id, event, record)
            elif isinstance(event, MergeUsers):
                self._moving.add(user_id)
                self.unmerged.add(user_id)
            else:
                self._apply(user_id, event, record)

    def merge(self, event: Event, record: Record) -> None:
        """Apply the next event of a partition again if it is about an unmerged user."""
        for user_id in self.unmerged.intersection(users_of(event)):
            if user_id in self._moving:
                self.moved.add(user_id, event, record)
            else:
                self.merged.setdefault(user_id, Merged()).add(event, record)

    def end_merge(self) -> None:
        """Record that all events so far are merged."""
        for user_id in self.unmerged:
            self.likes.forget(user_id)
            if user_id in self._moving:
                self.merged.pop(user_id, None)
        self.unmerged.clear()

    def difference(self, user_id: UserId, stored: AbstractSet[Thing]) -> Difference:
        """Return how what is stored of the user differs from the log."""
        if user_id in self._moving:
            expected = self.moved.things(user_id)
            if not self._whole or self.moved.depends_on_reading_order(user_id):
                return Difference(unproven=frozenset(expected ^ stored))
            return Difference(frozenset(expected - stored), frozenset(stored - expected))
        if user_id in self.merged:
            return self._merged_difference(self.merged[user_id], stored)
        likes = self.likes.of(user_id)
        missing, surplus = likes - stored, stored - likes
        extra = surplus
        if not self._whole and user_id not in self._forgotten:
            extra = surplus & self._unlikes.of(user_id)
        return Difference(frozenset(missing), frozenset(extra), frozenset(surplus - extra))

    def retired_difference(self, stored: AbstractSet[Thing]) -> Difference:
        """Return how the stored retired items differ from the log."""
        return self._merged_difference(self._catalogue, stored)

    def _merged_difference(self, merged: Merged, stored: AbstractSet[Thing]) -> Difference:
        likes = merged.things()
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

    def _apply(self, user_id: UserId, event: Event, record: Record) -> None:
        if user_id in self.merged:
            self.merged[user_id].add(event, record)
            return
        if self._partitions.setdefault(user_id, record.partition) != record.partition:
            self.unmerged.add(user_id)
        change = change_of(event)
        if change is None:
            self._forget(user_id)
        else:
            self._set(user_id, *change)

    def _set(self, user_id: UserId, thing: Thing, holds: bool) -> None:
        if holds:
            self.likes.add(user_id, thing)
        else:
            self.likes.discard(user_id, thing)
        if not self._whole:
            if holds:
                self._unlikes.discard(user_id, thing)
            else:
                self._unlikes.add(user_id, thing)

    def _forget(self, user_id: UserId) -> None:
        self.likes.forget(user_id)
        self._unlikes.forget(user_id)
        self._forgotten.add(user_id)
