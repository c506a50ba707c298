"""The oracle: what the log says, read with nothing of the product but its broker connection.

Events are understood with `json` alone and applied one by one to plain sets. So a fault in the
decoder, in the folding or in `likewise verify` can't hide itself here.
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
    from likewise.records import Record, TopicPartition


class Step(NamedTuple):
    """From this event on, counted from the first, the user likes the item or does not."""

    number: int
    liked: bool


@dataclass
class Oracle:
    """The state after the whole log, and how each like came to it."""

    events: int = 0
    likes: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    values: dict[tuple[int, int], bytes] = field(default_factory=dict)
    """Every record's value by partition and offset."""
    _numbers: dict[tuple[int, int], int] = field(default_factory=dict)
    _read: dict[TopicPartition, int] = field(default_factory=dict)
    _steps: dict[tuple[str, str], list[Step]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def of(cls, broker: Broker, topic: str) -> Oracle:
        """Read the topic from its beginning to where it ends now."""
        oracle = cls()
        oracle.read_on(broker, topic)
        return oracle

    def read_on(self, broker: Broker, topic: str) -> None:
        """Read from where it has read to before, to where the topic ends now."""
        partitions = broker.partitions(topic)
        start, end = broker.beginning_offsets(partitions), broker.end_offsets(partitions)
        start |= {partition: at for partition, at in self._read.items() if at > start[partition]}
        for records in read_between(broker, start, end):
            self.take(records)
        self._read = end

    def take(self, records: Iterable[Record]) -> None:
        """Apply the next records; what is no event of ours changes nothing."""
        for record in records:
            place = record.partition, record.offset
            self.values[place] = record.value or b""
            self._numbers[place] = len(self.values)
            body = _body_of(record)
            if body is not None:
                self.events += 1
                self._apply(len(self.values), body)

    def state(self) -> dict[str, set[str]]:
        """Return the likes of every user who has any."""
        return {user: set(items) for user, items in self.likes.items() if items}

    def liked_ever_since(self, user: str, item: str, after: Position) -> bool:
        """Whether the user liked the item when `after` was applied, and never ceased to."""
        steps = self._steps.get((user, item), [])
        number = self._numbers[after.partition, after.offset]
        before = [step for step in steps if step.number <= number]
        since = [step for step in steps if step.number > number]
        return bool(before) and before[-1].liked and all(step.liked for step in since)

    def _apply(self, number: int, body: dict[str, str]) -> None:
        user, action = body["user_id"], body.get("action", "like")
        if action == "forget_user":
            for item in self.likes.pop(user, set()):
                self._steps[user, item].append(Step(number, liked=False))
            return
        item, liked = body["item_id"], action == "like"
        self._steps[user, item].append(Step(number, liked))
        if liked:
            self.likes[user].add(item)
        else:
            self.likes[user].discard(item)


def _body_of(record: Record) -> dict[str, str] | None:
    """Return the event that the harness itself has written, None for poison."""
    if b'"sent_by"' not in (record.value or b""):
        return None
    body: dict[str, str] = json.loads(record.value or b"")
    return body
