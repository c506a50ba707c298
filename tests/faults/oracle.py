"""The oracle: the state that the log defines, computed with nothing of the product but its broker connection.

Events are decoded with `json` alone. Each user's partitions are merged by the rule in docs/protocol.md, and
the events applied one by one to plain sets. So a fault in the decoder, in the folding, in the merging or in
`likewise verify` cannot hide itself here.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from likewise.log.ranges import read_between

if TYPE_CHECKING:
    from collections.abc import Iterable

    from likewise.log.port import Broker
    from likewise.messages.positions import Position
    from likewise.records import Record


class Event(NamedTuple):
    """One user's event; events sort in the order in which they count."""

    time_ms: int
    """The newest timestamp of the user's events in the partition, up to and including this one."""
    partition: int
    offset: int
    action: str
    item: str | None
    kind: str = "like"
    guest: str | None = None
    """For an account, whose likes and signals become its own here."""


# By action: the set that it changes, and whether the item is in it from then on.
_CHANGES = {
    "like": ("like", True),
    "unlike": ("like", False),
    "dislike": ("dislike", True),
    "undislike": ("dislike", False),
    "hide": ("hide", True),
    "unhide": ("hide", False),
    "signal": (None, True),
    "unsignal": (None, False),
}


@dataclass
class Oracle:
    """Everything in a log, by user."""

    events: int = 0
    values: dict[tuple[int, int], bytes] = field(default_factory=dict)
    """Every record's value by partition and offset."""
    _by_user: dict[str, list[Event]] = field(default_factory=lambda: defaultdict(list))
    _by_item: dict[tuple[str, str], list[Event]] = field(default_factory=lambda: defaultdict(list))
    _forgets: dict[str, list[Event]] = field(default_factory=lambda: defaultdict(list))
    _newest_ms: dict[tuple[str, int], int] = field(default_factory=dict)

    @classmethod
    def of(cls, broker: Broker, topic: str) -> Oracle:
        """Read the topic from its beginning to its current end."""
        oracle = cls()
        partitions = broker.partitions(topic)
        start, end = broker.beginning_offsets(partitions), broker.end_offsets(partitions)
        for records in read_between(broker, start, end):
            oracle.take(records)
        return oracle

    def take(self, records: Iterable[Record]) -> None:
        """Add the next records of some partitions; poison changes nothing."""
        for record in records:
            self.values[record.partition, record.offset] = record.value or b""
            body = _body_of(record)
            if body is not None:
                self.events += 1
                self._add(record, body)

    def state(self) -> dict[str, set[str]]:
        """Return the likes of every user who has any, and as `kind:user` the signals."""
        found = {user: self._sets(user, None) for user in list(self._by_user)}
        return {
            user if kind == "like" else f"{kind}:{user}": items
            for user, sets in found.items()
            for kind, items in sets.items()
            if items
        }

    def scattered_users(self) -> int:
        """Return how many users have events on more than one partition."""
        return sum(len({one.partition for one in own}) > 1 for own in self._by_user.values())

    def liked_ever_since(self, user: str, item: str, after: Position) -> bool:
        """Whether the user likes the item as soon as `after` is applied, however far other partitions are."""
        events = self._by_item.get((user, item), [])
        likes = [
            event
            for event in events
            if event.action == "like"
            and event.partition == after.partition
            and event.offset <= after.offset
        ]
        unlikes = [event for event in events if event.action == "unlike"]
        taken_back = unlikes + self._forgets.get(user, [])
        return bool(likes) and all(event < max(likes) for event in taken_back)

    def _sets(self, user: str, before: Event | None) -> dict[str, set[str]]:
        """Return what the user has, by kind, before an event of that user or at the end."""
        sets: dict[str, set[str]] = defaultdict(set)
        for event in sorted(self._by_user[user]):
            if before is not None and event >= before:
                break
            if event.guest is not None:
                end = next(one for one in self._by_user[event.guest] if one[1:3] == event[1:3])
                for kind, items in self._sets(event.guest, end).items():
                    sets[kind] |= items
            elif event.item is None:
                sets.clear()
            elif _CHANGES[event.action][1]:
                sets[event.kind].add(event.item)
            else:
                sets[event.kind].discard(event.item)
        return sets

    def _add(self, record: Record, body: dict[str, str]) -> None:
        user, item, action = body["user_id"], body.get("item_id"), body.get("action", "like")
        kind = body.get("kind") or _CHANGES.get(action, ("like",))[0] or "like"
        event = self._event(record, user, action, item, kind)
        self._by_user[user].append(event)
        if action == "merge_users":
            account = self._event(record, body["into"], action, None, kind)
            self._by_user[body["into"]].append(account._replace(guest=user))
            return
        if item is None:
            self._forgets[user].append(event)
        else:
            self._by_item[user, item].append(event)

    def _event(self, record: Record, user: str, action: str, item: str | None, kind: str) -> Event:
        key = user, record.partition
        self._newest_ms[key] = max(record.timestamp, self._newest_ms.get(key, 0))
        at = self._newest_ms[key], record.partition, record.offset
        return Event(*at, action, item, kind)


def _body_of(record: Record) -> dict[str, str] | None:
    """Return the event if the harness wrote it, None for poison."""
    if b'"sent_by"' not in (record.value or b""):
        return None
    body: dict[str, str] = json.loads(record.value or b"")
    return body
