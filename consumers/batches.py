"""Batches: records that follow on what is applied, cut into parts, and what they say."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from likewise.dead_letters import DeadLetter
from likewise.errors import InvalidInputError
from likewise.events import decode_event
from likewise.streams import TopicPartition

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from likewise.events import Event
    from likewise.streams import Record

Batch = dict[TopicPartition, list["Record"]]
"""Of each partition at least one record, in order."""


class Decoded(NamedTuple):
    """What a batch says; `timestamps_ms` are those of the events, in their order."""

    events: list[Event]
    timestamps_ms: list[int]
    dead_letters: list[DeadLetter]


def by_partition(records: Iterable[Record]) -> Batch:
    """Return the records as a batch, in which those of a partition keep their order."""
    batch: Batch = {}
    for record in records:
        batch.setdefault(TopicPartition(record.topic, record.partition), []).append(record)
    return batch


def parts(batch: Batch, size: int) -> Iterator[Batch]:
    """Yield the batch in parts of `size` to twice as many records; a smaller one is its own part.

    A part takes a like share of each partition, and follows on the part before in all of them.
    """
    count = max(sum(map(len, batch.values())) // size, 1)
    for number in range(count):
        yield {
            partition: share
            for partition, records in batch.items()
            if (share := records[_cut(records, number, count) : _cut(records, number + 1, count)])
        }


def decode(batch: Batch) -> Decoded:
    """Return what the records say, those of one partition in their order. Never raises."""
    decoded = Decoded([], [], [])
    for records in batch.values():
        for record in records:
            try:
                decoded.events.append(decode_event(record))
            except InvalidInputError as reason:
                decoded.dead_letters.append(DeadLetter.of(record, reason))
            else:
                decoded.timestamps_ms.append(record.timestamp)
    return decoded


def next_offsets(batch: Batch) -> dict[TopicPartition, int]:
    """Return where each of the partitions is read on after the batch."""
    return {partition: records[-1].offset + 1 for partition, records in batch.items()}


def _cut(records: list[Record], number: int, count: int) -> int:
    return len(records) * number // count
