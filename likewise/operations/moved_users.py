"""What guests and the accounts they were merged into should have: independent of the consumers' code.

A merge is an event of both users: what the guest has before it is the account's from there on. All
events of such users are kept, sorted by the rule in docs/protocol.md, and applied one by one.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from likewise.messages.events import MergeUsers
from likewise.operations.things import change_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from likewise.messages.events import Event
    from likewise.messages.ids import UserId
    from likewise.operations.things import Thing
    from likewise.records import Record

    Place = tuple[int, int, int]


class MovedUsers:
    """The events of every user of a merge. Each partition's events are added from its start."""

    def __init__(self) -> None:
        self._events: defaultdict[UserId, dict[Place, Event]] = defaultdict(dict)
        self._newest: defaultdict[tuple[UserId, int], int] = defaultdict(int)
        # By partition and offset of each merge: its place among the guest's events.
        self._merges: dict[tuple[int, int], Place] = {}
        self._guests: defaultdict[UserId, set[UserId]] = defaultdict(set)
        self._accounts: defaultdict[UserId, set[UserId]] = defaultdict(set)

    @property
    def users(self) -> Iterable[UserId]:
        """The users of merges."""
        return self._events.keys()

    def add(self, user: UserId, event: Event, record: Record) -> None:
        """Add the next event of a partition for this user."""
        key = user, record.partition
        self._newest[key] = max(self._newest[key], record.timestamp, 0)
        place = self._newest[key], record.partition, record.offset
        self._events[user][place] = event
        if isinstance(event, MergeUsers):
            self._guests[event.into].add(event.user_id)
            self._accounts[event.user_id].add(event.into)
            if user == event.user_id:
                self._merges[record.partition, record.offset] = place

    def things(self, user: UserId) -> set[Thing]:
        """Return what the user should have."""
        return self._things(user, None, frozenset())

    def downstream(self, users: Iterable[UserId]) -> set[UserId]:
        """Return the accounts that events of these users may change."""
        return _closure(users, self._accounts)

    def depends_on_reading_order(self, user: UserId) -> bool:
        """Whether a guest with events in several partitions has a part in what the user has."""
        involved = _closure([user], self._guests) | ({user} & self._accounts.keys())
        return any(
            guest in self._accounts and len({place[1] for place in self._events[guest]}) > 1
            for guest in involved
        )

    def _things(
        self, user: UserId, before: Place | None, asked: frozenset[tuple[UserId, Place | None]]
    ) -> set[Thing]:
        found: set[Thing] = set()
        if (user, before) in asked:  # merges in a circle, with times that contradict each other
            return found
        asked |= {(user, before)}
        for place, event in sorted(self._events[user].items(), key=lambda one: one[0]):
            if before is not None and place >= before:
                break
            if isinstance(event, MergeUsers) and event.into == user:
                merged_at = self._merges.get((place[1], place[2]))
                found |= self._things(event.user_id, merged_at, asked)
            elif (change := change_of(event)) is None:
                found.clear()
            elif change[1]:
                found.add(change[0])
            else:
                found.discard(change[0])
        return found


def _closure(users: Iterable[UserId], edges: defaultdict[UserId, set[UserId]]) -> set[UserId]:
    found: set[UserId] = set()
    left = list(users)
    while left:
        new = edges.get(left.pop(), set()) - found
        found |= new
        left += new
    return found
