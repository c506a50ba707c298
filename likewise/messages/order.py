"""The order of one user's events when they lie in several partitions.

Kafka keeps order only within a partition, and clients hash keys differently, so the events of one
user may lie in several partitions. They count as if the partitions were merged by timestamp: an
event comes after every earlier event of the same user in its partition; between partitions the
timestamps decide. See docs/protocol.md and
docs/decisions/0017-events-on-several-partitions-are-merged-by-time.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from likewise.messages.events import BeyondLikes, ForgetUser, Like, RetireItem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from likewise.messages.events import Event
    from likewise.messages.ids import ItemId
    from likewise.records import Record


class Moment(NamedTuple):
    """The place of an event in the order of its user's events; later moments are greater.

    `time_ms` is the newest record timestamp among the user's events in the partition up to and
    including this one: the order within a partition holds even where timestamps go back.
    """

    time_ms: int
    partition: int
    offset: int


class ItemState(NamedTuple):
    """Whether the item is liked, and the moment of the event that decided it."""

    moment: Moment
    liked: bool


class Reach(NamedTuple):
    """The newest timestamp and the last offset of one user's events in one partition."""

    time_ms: int
    offset: int


@dataclass(slots=True)
class UserState:
    """The latest state of each item for one user, and the latest `forget_user`.

    No item's state is older than `forget`. Adding events again, or the partitions in another
    order, gives the same state. The retired items are kept the same way, as those of one user.
    """

    forget: Moment | None = None
    items: dict[ItemId, ItemState] = field(default_factory=dict)
    reach: dict[int, Reach] = field(default_factory=dict)
    """By partition, of the events that were added."""

    def add(self, event: Event, record: Record, known: Mapping[int, Reach]) -> None:
        """Add the next event of a partition; `known` is the reach of the events before these."""
        moment = self._moment(record, known)
        if isinstance(event, ForgetUser):
            self.forget_before(moment)
        elif not isinstance(event, BeyondLikes):
            liked = isinstance(event, Like | RetireItem)
            self.set_item(event.item_id, ItemState(moment, liked))

    def set_item(self, item_id: ItemId, state: ItemState) -> bool:
        """Set the item's state and return True; return False if a later state is known."""
        if self.forget is not None and state.moment <= self.forget:
            return False
        known = self.items.get(item_id)
        if known is not None and state.moment <= known.moment:
            return False
        self.items[item_id] = state
        return True

    def forget_before(self, moment: Moment) -> bool:
        """Drop all older states and return True; return False if a later `forget_user` is known."""
        if self.forget is not None and moment <= self.forget:
            return False
        self.forget = moment
        self.items = {item: state for item, state in self.items.items() if state.moment > moment}
        return True

    def _moment(self, record: Record, known: Mapping[int, Reach]) -> Moment:
        time_ms = moment_ms(record, self.reach.get(record.partition, known.get(record.partition)))
        self.reach[record.partition] = Reach(time_ms, record.offset)
        return Moment(time_ms, record.partition, record.offset)


def moment_ms(record: Record, reach: Reach | None) -> int:
    """Return the `Moment.time_ms` of an event, given the reach of its partition before it."""
    time_ms = max(record.timestamp, 0)
    # An event at or before the reach is read again: the partition counts from its beginning.
    if reach is None or reach.offset >= record.offset:
        return time_ms
    return max(time_ms, reach.time_ms)
