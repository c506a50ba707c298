"""The records of a poll by partition, and their decoded events."""

from __future__ import annotations

from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from likewise.errors import InvalidInputError
from likewise.messages.dead_letters import DeadLetter
from likewise.messages.event_decoding import decode_event
from likewise.messages.events import ForgetUser, Like, MergeUsers, check_kind
from likewise.records import TopicPartition

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Sequence

    from likewise.messages.events import Event
    from likewise.records import Record

Batch = dict[TopicPartition, list["Record"]]
"""Records by partition, at least one of each, in order."""


class Part(NamedTuple):
    """The events of one partition and their records, in order."""

    partition: int
    events: list[Event]
    records: list[Record]
    merges: Sequence[int] = ()
    """The index of each event that merges users."""
    forgets: bool = False
    """Whether an event erases a user; so does a merge."""


class Decoded(NamedTuple):
    """A decoded batch."""

    parts: list[Part]
    dead_letters: list[DeadLetter]
    unclear_times: list[object]
    """Timestamps of events that are not times."""

    @property
    def events(self) -> list[Event]:
        """All events, partition by partition."""
        return [event for part in self.parts for event in part.events]

    @property
    def timestamps_ms(self) -> list[int]:
        """The timestamps of the events' records."""
        return [record.timestamp for part in self.parts for record in part.records]

    @property
    def event_count(self) -> int:
        """The number of events."""
        return sum(len(part.events) for part in self.parts)


def by_partition(records: Iterable[Record]) -> Batch:
    """Return the records of each partition, in their order."""
    batch: Batch = {}
    # A poll returns the records of one partition together.
    for partition, some in groupby(records, key=attrgetter("topic", "partition")):
        batch.setdefault(TopicPartition(*partition), []).extend(some)
    return batch


def decode(batch: Batch, kinds: Container[str] = ()) -> Decoded:
    """Return the events, and a dead letter for each record that is not an event.

    Nor is a signal of another kind than these.
    """
    decoded = Decoded([], [], [])
    note = decoded.unclear_times.append
    for partition, records in batch.items():
        part = Part(partition.partition, [], [])
        merges, forgets = [], False
        for record in records:
            try:
                event = decode_event(record, on_unclear_time=note)
                if event.__class__ is not Like:  # cheaper than isinstance, for every event
                    check_kind(event, kinds)
                    if isinstance(event, MergeUsers):
                        merges.append(len(part.events))
                    forgets = forgets or isinstance(event, ForgetUser | MergeUsers)
            except InvalidInputError as reason:
                decoded.dead_letters.append(DeadLetter.of(record, reason))
            else:
                part.events.append(event)
                part.records.append(record)
        decoded.parts.append(part._replace(merges=merges, forgets=forgets))
    return decoded


def oldest_ms(batch: Batch) -> int:
    """Return the oldest timestamp of the partitions' first records; -1 if the broker sets none."""
    return min(records[0].timestamp for records in batch.values())
