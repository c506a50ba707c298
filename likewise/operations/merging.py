"""One user's partitions merged by timestamp, for verification: independent of the consumers' code.

The rule is in docs/protocol.md: an event comes after every earlier event of the same user in its
partition; between partitions the record timestamps decide, then the partition number.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from likewise.messages.events import BeyondLikes, ForgetUser, Like, RetireItem
from likewise.messages.ids import ItemId
from likewise.messages.order import ItemState, Moment, Reach, UserState

if TYPE_CHECKING:
    from likewise.messages.events import Event
    from likewise.records import Record

    Place = tuple[int, int, int]


class Merged:
    """The state after the events so far. Each partition's events are added from its start."""

    def __init__(self) -> None:
        self._ends: dict[int, tuple[int, int]] = {}
        self._forgotten: Place | None = None
        self._latest: dict[ItemId, tuple[Place, bool]] = {}

    @property
    def partitions(self) -> int:
        """The number of partitions with events."""
        return len(self._ends)

    def add(self, event: Event, record: Record) -> None:
        """Add the next event of a partition."""
        newest, _ = self._ends.get(record.partition, (0, 0))
        time_ms = max(newest, record.timestamp)
        self._ends[record.partition] = time_ms, record.offset
        place = time_ms, record.partition, record.offset
        if self._forgotten is not None and place < self._forgotten:
            return
        if isinstance(event, ForgetUser):
            self._forgotten = place
            self._latest = {item: one for item, one in self._latest.items() if one[0] > place}
            return
        if isinstance(event, BeyondLikes):
            return
        item_id = ItemId(sys.intern(event.item_id))
        if item_id not in self._latest or self._latest[item_id][0] < place:
            self._latest[item_id] = place, isinstance(event, Like | RetireItem)

    def likes(self) -> set[ItemId]:
        """Return the liked items."""
        return {item for item, (_, liked) in self._latest.items() if liked}

    def settled_since(self, time_ms: int) -> set[ItemId] | None:
        """Return the items that no event before `time_ms` affects; None means all items."""
        if self._forgotten is not None and self._forgotten[0] >= time_ms:
            return None
        return {item for item, (place, _) in self._latest.items() if place[0] >= time_ms}

    def user_state(self) -> UserState:
        """Return the state in the form that the store uses."""
        return UserState(
            forget=None if self._forgotten is None else Moment(*self._forgotten),
            items={
                item: ItemState(Moment(*place), liked)
                for item, (place, liked) in self._latest.items()
            },
            reach={partition: Reach(*end) for partition, end in self._ends.items()},
        )
