"""The rule of order, in the plainest way: each user's partitions are merged by timestamp.

It knows nothing of homes, marks or states: it sorts all events.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from typing import TYPE_CHECKING

from likewise.messages.events import ForgetUser, Like, RestoreItem, RetireItem, Unlike

if TYPE_CHECKING:
    from collections.abc import Iterable

    from likewise.messages.events import Event
    from likewise.messages.ids import ItemId, UserId

Log = dict[int, list[tuple[int, "Event"]]]
"""For each partition, the timestamp of each record and its event."""


def outcome_of_log(log: Log) -> tuple[dict[UserId, set[ItemId]], set[ItemId]]:
    """Return the likes of every user who has any, and the retired items."""
    by_user: defaultdict[UserId | None, Log] = defaultdict(lambda: defaultdict(list))
    for partition, events in log.items():
        for timestamp, event in events:
            user = None if isinstance(event, RetireItem | RestoreItem) else event.user_id
            by_user[user][partition].append((timestamp, event))
    retired = _outcome(by_user.pop(None, {}))
    likes = {user: items for user, own in by_user.items() if user and (items := _outcome(own))}
    return likes, retired


def _outcome(log: Log) -> set[ItemId]:
    items: set[ItemId] = set()
    for event in _merged(log):
        if isinstance(event, ForgetUser):
            items.clear()
        elif isinstance(event, Like | RetireItem):
            items.add(event.item_id)
        elif isinstance(event, Unlike | RestoreItem):
            items.discard(event.item_id)
    return items


def _merged(log: Log) -> Iterable[Event]:
    """Yield the event with the least timestamp among the next events of the partitions, repeatedly."""
    queues = {partition: list(reversed(events)) for partition, events in log.items()}
    heads = [(events[-1][0], partition) for partition, events in queues.items() if events]
    heapq.heapify(heads)
    while heads:
        _, partition = heads[0]
        _, event = queues[partition].pop()
        yield event
        if queues[partition]:
            heapq.heapreplace(heads, (queues[partition][-1][0], partition))
        else:
            heapq.heappop(heads)
