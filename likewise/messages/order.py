"""The order of one user's events that lie in several partitions.

Kafka keeps order within a partition only, and clients hash keys differently, so one user's events may
lie in several partitions. They count as if the partitions were merged by timestamp: an event comes
after every event of the same user before it in its partition, and among partitions the timestamps
decide. See docs/protocol.md and docs/decisions/0017-events-on-several-partitions-are-merged-by-time.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from likewise.messages.events import ForgetUser, Like, RetireItem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from likewise.messages.events import Event
    from likewise.messages.ids import ItemId
    from likewise.records import Record


class Moment(NamedTuple):
    """Where an event stands in the order of its user's events.

    `time_ms` is the newest record timestamp among the user's events in the partition, up to and
    with this one: the order within a partition holds even where timestamps go back.
    """

    time_ms: int
    partition: int
    offset: int


class ItemState(NamedTuple):
    """The latest that was said of an item, and when."""

    moment: Moment
    liked: bool


class Reach(NamedTuple):
    """The newest timestamp and the last offset among one user's events in one partition."""

    time_ms: int
    offset: int


@dataclass(slots=True)
class UserState:
    """The latest word on each item of one user, and the latest `forget_user`.

    No item's word is older than `forget`. Taking in events again, or in another order of partitions,
    comes to the same. The retired items are kept in the same way, as those of one user.
    """

    forget: Moment | None = None
    items: dict[ItemId, ItemState] = field(default_factory=dict)
    reach: dict[int, Reach] = field(default_factory=dict)
    """By partition, of the events that were taken in."""

    def take(self, event: Event, record: Record, known: Mapping[int, Reach]) -> None:
        """Take in the next event of a partition; `known` is the reach before these words."""
        moment = self._moment(record, known)
        if isinstance(event, ForgetUser):
            self.say_forget(moment)
        else:
            self.say(event.item_id, ItemState(moment, isinstance(event, Like | RetireItem)))

    def say(self, item_id: ItemId, word: ItemState) -> bool:
        """Note the word on the item; False where a later one is known."""
        if self.forget is not None and word.moment <= self.forget:
            return False
        known = self.items.get(item_id)
        if known is not None and word.moment <= known.moment:
            return False
        self.items[item_id] = word
        return True

    def say_forget(self, moment: Moment) -> bool:
        """Drop every older word; False where a later `forget_user` is known."""
        if self.forget is not None and moment <= self.forget:
            return False
        self.forget = moment
        self.items = {item: word for item, word in self.items.items() if word.moment > moment}
        return True

    def _moment(self, record: Record, known: Mapping[int, Reach]) -> Moment:
        time_ms = moment_ms(record, self.reach.get(record.partition, known.get(record.partition)))
        self.reach[record.partition] = Reach(time_ms, record.offset)
        return Moment(time_ms, record.partition, record.offset)


def moment_ms(record: Record, reach: Reach | None) -> int:
    """Return `Moment.time_ms` of an event that follows on what was reached in its partition."""
    time_ms = max(record.timestamp, 0)
    # An event that is read again, from further back, counts from the beginning once more.
    if reach is None or reach.offset >= record.offset:
        return time_ms
    return max(time_ms, reach.time_ms)
