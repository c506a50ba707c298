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

from likewise.messages.events import ForgetUser, Like, MergeUsers, RetireItem, Signal, Unsignal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from likewise.messages.events import Event
    from likewise.messages.ids import ItemId, SignalKind, UserId
    from likewise.records import Record


class Moment(NamedTuple):
    """The place of an event in the order of its user's events; later moments are greater.

    `time_ms` is the newest record timestamp among the user's events in the partition up to and
    including this one: the order within a partition holds even where timestamps go back.
    """

    time_ms: int
    partition: int
    offset: int


BEGINNING = Moment(0, 0, 0)
"""Not after any event."""


class ItemState(NamedTuple):
    """Whether the item is liked, and the moment of the event that decided it."""

    moment: Moment
    liked: bool


class Reach(NamedTuple):
    """The newest timestamp and the last offset of one user's events in one partition."""

    time_ms: int
    offset: int


class Merged(NamedTuple):
    """That everything of a guest between two moments belongs to an account now."""

    since: Moment
    moment: Moment
    into: UserId


@dataclass(slots=True)
class UserState:
    """The latest state of each item for one user, and the latest `forget_user`.

    No item's state is older than `forget`. Adding events again, or the partitions in another
    order, gives the same state. The retired items are kept the same way, as those of one user.
    """

    forget: Moment | None = None
    """When everything before was erased, or moved to another user."""
    merged: Merged | None = None
    """Where everything before `forget` was moved to; None if it was erased."""
    items: dict[ItemId, ItemState] = field(default_factory=dict)
    signals: dict[SignalKind, dict[ItemId, ItemState]] = field(default_factory=dict)
    """By kind, the same as `items` are for likes."""
    reach: dict[int, Reach] = field(default_factory=dict)
    """By partition, of the events that were added."""
    forgotten_before: Moment | None = None
    """The `forget` of an earlier state of this user, which the states of new kinds need, too."""

    def add(self, event: Event, record: Record, known: Mapping[int, Reach]) -> None:
        """Add the next event of a partition; `known` is the reach of the events before these."""
        self.add_at(self.moment(record, known), event)

    def add_at(self, moment: Moment, event: Event) -> None:
        """Add an event of this moment; of `merge_users`, what it means for the guest."""
        match event:
            case ForgetUser():
                self.forget_before(moment)
            case MergeUsers():
                since = self.forget or self.forgotten_before or BEGINNING
                self.forget_before(moment, Merged(since, moment, event.into))
            case Signal() | Unsignal():
                of_kind = self.signals.setdefault(event.kind, {})
                self._set(of_kind, event.item_id, ItemState(moment, isinstance(event, Signal)))
            case _:
                liked = isinstance(event, Like | RetireItem)
                self.set_item(event.item_id, ItemState(moment, liked))

    def moment(self, record: Record, known: Mapping[int, Reach]) -> Moment:
        """Return the moment of the next event of a partition, and note that it was reached."""
        time_ms = moment_ms(record, self.reach.get(record.partition, known.get(record.partition)))
        self.reach[record.partition] = Reach(time_ms, record.offset)
        return Moment(time_ms, record.partition, record.offset)

    def set_item(self, item_id: ItemId, state: ItemState) -> bool:
        """Set the item's state and return True; return False if a later state is known."""
        return self._set(self.items, item_id, state)

    def forget_before(self, moment: Moment, merged: Merged | None = None) -> bool:
        """Drop all older states and return True; return False if a later `forget_user` is known."""
        if self.forget is not None and moment <= self.forget:
            return False
        self.forget, self.merged = moment, merged
        self.items = _after(moment, self.items)
        self.signals = {kind: _after(moment, items) for kind, items in self.signals.items()}
        return True

    def of_kinds(self, forgotten: Iterable[SignalKind]) -> dict[SignalKind, UserState]:
        """Return the state of each kind of signal as that of likes; of those to forget, too."""
        forget = self.forget or self.forgotten_before
        erased = () if self.forget is None else forgotten
        return {
            kind: UserState(forget=forget, items=self.signals.get(kind, {}))
            for kind in {*self.signals, *erased}
        }

    def _set(self, items: dict[ItemId, ItemState], item_id: ItemId, state: ItemState) -> bool:
        if self.forget is not None and state.moment <= self.forget:
            return False
        known = items.get(item_id)
        if known is not None and state.moment <= known.moment:
            return False
        items[item_id] = state
        return True


def moment_ms(record: Record, reach: Reach | None) -> int:
    """Return the `Moment.time_ms` of an event, given the reach of its partition before it."""
    time_ms = max(record.timestamp, 0)
    # An event at or before the reach is read again: the partition counts from its beginning.
    if reach is None or reach.offset >= record.offset:
        return time_ms
    return max(time_ms, reach.time_ms)


def _after(moment: Moment, items: Mapping[ItemId, ItemState]) -> dict[ItemId, ItemState]:
    return {item: state for item, state in items.items() if state.moment > moment}
