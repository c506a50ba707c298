"""The likes topic in memory, in the order of time, and what everybody likes after a part of it."""

from __future__ import annotations

import sys
from bisect import bisect_right
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from indexer.interactions import UserLikes, interactions_of
from likewise.errors import InvalidInputError
from likewise.log.ranges import read_between
from likewise.messages.event_decoding import decode_event
from likewise.messages.events import ForgetUser, Like, MergeUsers, Unlike
from likewise.messages.ids import ItemId
from likewise.messages.positions import Position

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from indexer.interactions import Interactions
    from indexer.progress import Progress
    from likewise.log.port import Broker
    from likewise.messages.events import Event
    from likewise.messages.ids import UserId
    from likewise.records import TopicPartition

Likes = dict["UserId", set[ItemId]]


class LoggedEvent(NamedTuple):
    """An event that changes likes, when it arrived, and where it is in the log."""

    time_ms: int
    position: Position
    event: Event


def read_events(
    broker: Broker, end: Mapping[TopicPartition, int], progress: Progress
) -> list[LoggedEvent]:
    """Return the events before these offsets that change likes, by time, partition and offset.

    Takes some 250 bytes of memory for an event.

    Raises:
        TransientError: the broker cannot be reached.
    """
    start = broker.beginning_offsets(end)
    progress.expect(sum(max(end[one] - start[one], 0) for one in end))
    events = []
    for records in read_between(broker, start, end):
        for record in records:
            with suppress(InvalidInputError):  # the consumers have dead-lettered it
                event = decode_event(record)
                if isinstance(event, Like | Unlike):
                    event = type(event)(event.user_id, ItemId(sys.intern(event.item_id)))
                if isinstance(event, Like | Unlike | ForgetUser | MergeUsers):
                    position = Position(record.partition, record.offset)
                    events.append(LoggedEvent(record.timestamp, position, event))
        progress.advance(len(records))
    events.sort(key=lambda one: one[:2])
    return events


def events_until(events: Sequence[LoggedEvent], time_ms: int) -> int:
    """Return how many events had arrived by then."""
    return bisect_right(events, time_ms, key=lambda one: one.time_ms)


def apply(likes: Likes, event: Event) -> None:
    """Apply the next event."""
    match event:
        case Like(user_id, item_id):
            likes.setdefault(user_id, set()).add(item_id)
        case Unlike(user_id, item_id):
            likes.get(user_id, set()).discard(item_id)
        case ForgetUser(user_id):
            likes.pop(user_id, None)
        case MergeUsers(user_id, into):
            if moved := likes.pop(user_id, None):
                likes.setdefault(into, set()).update(moved)
        case _:
            raise TypeError(f"changes no likes: {event!r}")


def interactions_after(events: Iterable[LoggedEvent]) -> Interactions:
    """Return what everybody likes after these events."""
    likes: Likes = {}
    for one in events:
        apply(likes, one.event)
    return interactions_of([UserLikes([*likes], [*likes.values()])])
