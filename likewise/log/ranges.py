"""Reading a stretch of a topic, from known offsets to known offsets, outside any consumer group."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING

from likewise.errors import TransientError
from likewise.records import TopicPartition

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from likewise.log.port import Broker
    from likewise.records import Record

SILENCE_TIMEOUT_S = 30.0
_POLL_TIMEOUT_MS = 500
_FIRST_LOOK_BACK = 1_000


def read_between(
    broker: Broker,
    start: Mapping[TopicPartition, int],
    end: Mapping[TopicPartition, int],
    *,
    silence_timeout_s: float = SILENCE_TIMEOUT_S,
) -> Iterator[list[Record]]:
    """Yield the records from `start` up to, but without, `end`; each partition's in order.

    Each end has to be one that the broker gave, or less.

    Raises:
        TransientError: nothing was read for `silence_timeout_s` although something is left.
    """
    unread = {partition: at for partition, at in start.items() if at < end[partition]}
    if not unread:
        return
    with closing(broker.reader(unread)) as reader:
        heard_at_s = time.monotonic()
        while unread:
            records = reader.poll(_POLL_TIMEOUT_MS)
            spans = reader.spans()
            if spans:
                heard_at_s = time.monotonic()
            elif time.monotonic() - heard_at_s > silence_timeout_s:
                raise TransientError(
                    f"{_named(unread)}: no record came for {silence_timeout_s:g} s"
                )
            yield [record for record in records if record.offset < end[_partition(record)]]
            for partition, span in spans.items():
                if span.end >= end[partition]:
                    unread.pop(partition, None)


def offsets_before(
    broker: Broker, partitions: Sequence[TopicPartition], time_ms: int
) -> dict[TopicPartition, int]:
    """Return an offset of each partition where a record is older than that, or its beginning.

    Single records are looked at, from the end backwards and each time four times as far, so that
    no more than about four times the records that are wanted follow. Where times are out of order
    by more than that, a record of the time may stand before the offset.

    Raises:
        TransientError: the broker is out of reach.
    """
    beginning, end = broker.beginning_offsets(partitions), broker.end_offsets(partitions)
    found = dict(beginning)
    distance = _FIRST_LOOK_BACK
    searched = set(partitions)
    while searched := {one for one in searched if end[one] - distance > beginning[one]}:
        start = {one: end[one] - distance for one in searched}
        one_each = read_between(broker, start, {one: at + 1 for one, at in start.items()})
        for record in (record for records in one_each for record in records):
            if record.timestamp < time_ms:
                found[_partition(record)] = record.offset
                searched.discard(_partition(record))
        distance *= 4
    return found


def _partition(record: Record) -> TopicPartition:
    return TopicPartition(record.topic, record.partition)


def _named(partitions: Mapping[TopicPartition, int]) -> str:
    return ", ".join(f"{topic}/{number}" for topic, number in sorted(partitions))
