"""One user's partitions merged by timestamp, for verification: independent of the consumers' code.

The rule is in docs/protocol.md: an event comes after every earlier event of the same user in its
partition; between partitions the record timestamps decide, then the partition number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from likewise.messages.order import ItemState, Moment, Reach, UserState
from likewise.operations.things import Signalled, change_of

if TYPE_CHECKING:
    from likewise.messages.events import Event
    from likewise.operations.things import Thing
    from likewise.records import Record

    Place = tuple[int, int, int]


class Merged:
    """The state after the events so far. Each partition's events are added from its start."""

    def __init__(self) -> None:
        self._ends: dict[int, tuple[int, int]] = {}
        self._forgotten: Place | None = None
        self._latest: dict[Thing, tuple[Place, bool]] = {}

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
        if (change := change_of(event)) is None:
            self._forgotten = place
            self._latest = {item: one for item, one in self._latest.items() if one[0] > place}
            return
        thing, holds = change
        if thing not in self._latest or self._latest[thing][0] < place:
            self._latest[thing] = place, holds

    def things(self) -> set[Thing]:
        """Return what the user has; of the retired items, which these are."""
        return {item for item, (_, liked) in self._latest.items() if liked}

    def settled_since(self, time_ms: int) -> set[Thing] | None:
        """Return the items that no event before `time_ms` affects; None means all items."""
        if self._forgotten is not None and self._forgotten[0] >= time_ms:
            return None
        return {item for item, (place, _) in self._latest.items() if place[0] >= time_ms}

    def user_state(self) -> UserState:
        """Return the state in the form that the store uses."""
        state = UserState(
            forget=None if self._forgotten is None else Moment(*self._forgotten),
            reach={partition: Reach(*end) for partition, end in self._ends.items()},
        )
        for thing, (place, holds) in self._latest.items():
            items = state.items
            if isinstance(thing, Signalled):
                items, thing = state.signals.setdefault(thing.kind, {}), thing.item_id
            items[thing] = ItemState(Moment(*place), holds)
        return state
