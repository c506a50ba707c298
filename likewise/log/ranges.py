"""Reading a range of a topic, between known offsets, outside any consumer group."""

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
_FIRST_STEP_BACK = 1_000


def read_between(
    broker: Broker,
    start: Mapping[TopicPartition, int],
    end: Mapping[TopicPartition, int],
    *,
    silence_timeout_s: float = SILENCE_TIMEOUT_S,
) -> Iterator[list[Record]]:
    """Yield the records from `start` (included) to `end` (excluded); each partition's in order.

    `end` may not be beyond the end that the broker returned.

    Raises:
        TransientError: nothing was read for `silence_timeout_s` before the end was reached.
    """
    unread = {partition: at for partition, at in start.items() if at < end[partition]}
    if not unread:
        return
    with closing(broker.reader(unread)) as reader:
        last_read_s = time.monotonic()
        while unread:
            records = reader.poll(_POLL_TIMEOUT_MS)
            spans = reader.spans()
            if spans:
                last_read_s = time.monotonic()
            elif time.monotonic() - last_read_s > silence_timeout_s:
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
    """Return an offset of each partition at which a record is older than `time_ms`, or its beginning.

    Reads single records from the end backwards, each four times as far as the one before. So at
    most about four times the wanted records follow the offset. If times are out of order by more
    than that, a record of the wanted time can be before it.

    Raises:
        TransientError: the broker cannot be reached.
    """
    beginning, end = broker.beginning_offsets(partitions), broker.end_offsets(partitions)
    found = dict(beginning)
    distance = _FIRST_STEP_BACK
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
