"""Likes that later events took back. Importing an old file again must not restore them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from likewise.errors import InvalidInputError
from likewise.log.ranges import read_between
from likewise.messages.event_decoding import decode_event
from likewise.messages.event_times import event_time_ms
from likewise.messages.events import ForgetUser, Like, Unlike

if TYPE_CHECKING:
    from collections.abc import Callable

    from likewise.log.port import Broker
    from likewise.messages.events import Event
    from likewise.messages.ids import ItemId, UserId
    from likewise.records import Record

_ALWAYS, _NEVER = 1 << 62, -(1 << 62)
"""The time of an event without one: later than any row's."""


@dataclass(slots=True)
class TakenBack:
    """When each like was last taken back, by `unlike` or `forget_user`, unless it was liked again since.

    Memory grows with the likes taken back, not with all likes.
    """

    _pairs: dict[tuple[UserId, ItemId], int] = field(default_factory=dict)
    _users: dict[UserId, int] = field(default_factory=dict)
    _renewed: set[tuple[UserId, ItemId]] = field(default_factory=set)
    """Likes of forgotten users since then."""

    def add(self, event: Event, time_ms: int | None) -> None:
        """Apply the next event of the log."""
        at = _ALWAYS if time_ms is None else time_ms
        match event:
            case Like(user_id, item_id):
                pair = user_id, item_id
                if at >= self._pairs.get(pair, _ALWAYS):
                    del self._pairs[pair]
                if at >= self._users.get(user_id, _ALWAYS):
                    self._renewed.add(pair)
            case Unlike(user_id, item_id):
                pair = user_id, item_id
                self._pairs[pair] = max(at, self._pairs.get(pair, at))
                self._renewed.discard(pair)
            case ForgetUser(user_id):
                self._users[user_id] = max(at, self._users.get(user_id, at))
                self._renewed = {pair for pair in self._renewed if pair[0] != user_id}

    def __bool__(self) -> bool:
        """Whether anything was taken back."""
        return bool(self._pairs or self._users)

    def holds(self, event: Event, time_ms: int | None) -> bool:
        """Whether a row of a file is a like that was taken back later.

        A row without a time counts as older. Once the file itself takes a like back, its later rows
        may restore it.
        """
        match event:
            case Like(user_id, item_id):
                pair = user_id, item_id
                at = self._pairs.get(pair, _NEVER)
                if pair not in self._renewed:
                    at = max(at, self._users.get(user_id, _NEVER))
                return at != _NEVER and (time_ms is None or time_ms <= at)
            case Unlike(user_id, item_id):
                self._pairs.pop((user_id, item_id), None)
            case ForgetUser(user_id):
                self._users.pop(user_id, None)
        return False


def read_taken_back(
    broker: Broker, topic: str, on_progress: Callable[[int, float], None]
) -> TakenBack:
    """Return the likes that the events of the topic, up to its current end, took back.

    Calls `on_progress` with the number of events read and their share of all.

    Raises:
        TransientError: the broker can't be reached, or returns no more records.
    """
    taken_back = TakenBack()
    partitions = broker.partitions(topic)
    start, end = broker.beginning_offsets(partitions), broker.end_offsets(partitions)
    total, read = sum(end.values()) - sum(start.values()), 0
    for records in read_between(broker, start, end):
        for record in records:
            if taken_back or _may_take_back(record):
                with suppress(InvalidInputError):  # consumers dead-letter it
                    event, time_ms = decode_event(record), event_time_ms(record)
                    if isinstance(event, Like) and time_ms is not None:
                        time_ms = max(time_ms, record.timestamp)  # an old like, sent again since
                    taken_back.add(event, time_ms)
        read += len(records)
        on_progress(read, read / max(total, 1))
    return taken_back


def _may_take_back(record: Record) -> bool:
    """Whether the value is a like, without decoding it. Nearly all events are likes."""
    value = record.value or b""
    return b"unlike" in value or b"forget" in value or b"\\u" in value or bool(record.headers)
