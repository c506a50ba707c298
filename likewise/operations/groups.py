"""Whether consumers work at the moment, and which users a log has."""

from __future__ import annotations

import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING

from likewise.errors import InvalidInputError, LikewiseError
from likewise.log.ranges import read_between
from likewise.messages.event_decoding import decode_event
from likewise.messages.events import RestoreItem, RetireItem, users_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from likewise.log.port import Broker
    from likewise.messages.ids import UserId

_POLL_MS = 200
_TIMEOUT_S = 30.0


def check_idle(broker: Broker, group: str, topic: str, *, timeout_s: float = _TIMEOUT_S) -> None:
    """Return if no member of the consumer group works; joins it for some seconds to see that.

    Raises:
        LikewiseError: another member has partitions of the topic.
        TransientError: the broker cannot be reached.
    """
    partitions = set(broker.partitions(topic))
    if not partitions:
        return
    with closing(broker.source(group, (topic,), max_records=1, seek_first=True)) as member:
        ends_at_s = time.monotonic() + timeout_s
        while time.monotonic() < ends_at_s:
            member.poll(_POLL_MS)
            if member.assignment() >= partitions:
                return
    raise LikewiseError(
        f"the consumer group {group!r} is active; stop all consumers, and run this again"
    )


def users_of_log(broker: Broker, topic: str) -> Iterator[UserId]:
    """Yield the users of all events in the log, each any number of times.

    Raises:
        TransientError: the broker cannot be reached.
    """
    partitions = broker.partitions(topic)
    start, end = broker.beginning_offsets(partitions), broker.end_offsets(partitions)
    for records in read_between(broker, start, end):
        for record in records:
            with suppress(InvalidInputError):
                event = decode_event(record)
                if not isinstance(event, RetireItem | RestoreItem):
                    yield from users_of(event)
