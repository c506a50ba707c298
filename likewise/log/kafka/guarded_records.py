"""The records of one fetch, decoded so that damaged batches cost only themselves.

Replaces `Fetcher.PartitionRecords` of kafka-python 3.0 (kafka/consumer/fetcher.py), which raises for
a batch that it cannot decode (a wrong checksum, a header name that is not UTF-8, damaged
compression). After that exception its `take` returns nothing and it still counts as true, so
`Fetcher.fetched_records` loops and `poll` never returns. We found no upstream issue about it.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from kafka.consumer.fetcher import Fetcher
from kafka.protocol.consumer import IsolationLevel
from kafka.record.legacy_records import LegacyRecordBatch
from kafka.record.util import calc_crc32c

from likewise.log.kafka.record_batches import (
    CHECKED_FROM,
    HEADER_BYTES,
    MAX_KEPT_BYTES,
    BatchHeader,
    LogRecord,
    aborts,
    records_of,
)
from likewise.records import DAMAGED_BATCH, Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from likewise.records import Record

_log = logging.getLogger(__name__)

_FRAME_BYTES = 12
_MAGIC_AT = 16
_MIN_BATCH_BYTES = 17
"""Up to the magic byte, which names the format of the rest."""
_FIRST_MAGIC_WITH_HEADER = 2
_FETCHES_TO_CONFIRM = 3
"""How often the same damaged bytes must arrive to count as the log's: a network can damage them, too."""


class Damage(NamedTuple):
    """Damaged bytes, and how often they arrived."""

    offset: int
    raw: bytes
    times: int


class GuardedRecords(Fetcher.PartitionRecords):  # type: ignore[misc]  # kafka-python has no types
    """The records that one fetch returned of a partition, decoded lazily. No content makes it raise."""

    def __init__(
        self,
        high_watermarks: Mapping[Any, int],
        damage: dict[Any, Damage],
        fetch_offset: int,
        tp: Any,
        records: Any,
        **options: Any,
    ) -> None:
        """Take the fetcher's high watermarks and the damaged bytes that it fetches again."""
        self._high_watermarks = high_watermarks
        self._damage = damage
        self.next_fetch_offset: int = fetch_offset
        if not records.has_next() and records.size_in_bytes():
            # Without a whole batch the fetcher raises before it takes records, after every fetch.
            records._next_slice = memoryview(b"")
        super().__init__(fetch_offset, tp, records, **options)

    def take(self, n: int | None = None) -> list[Record]:
        """Return the next records, at most `n`."""
        taken: list[Record] = super().take(n)
        if taken:
            last = taken[-1]
            reached = last.last_offset if isinstance(last, Unreadable) else last.offset
            self.next_fetch_offset = max(self.next_fetch_offset, reached + 1)
        return taken

    def _unpack_records(self, _tp: Any, records: Any, *_deserializers: Any) -> Iterator[Record]:
        try:
            yield from self._read(memoryview(records._buffer))
        finally:
            # After an exception, too: see the module's docstring.
            self.drain()

    def _read(self, fetched: memoryview) -> Iterator[Record]:
        at = 0
        while at < len(fetched):
            length = int.from_bytes(fetched[at + 8 : at + _FRAME_BYTES], "big", signed=True)
            end = at + _FRAME_BYTES + length
            if end > len(fetched) or end - at < _MIN_BATCH_BYTES:
                # Brokers cut off the last batch of a fetch, but never the first.
                if not at and not self._is_fetched_again(fetched):
                    yield self._unframed(fetched)
                return
            batch = fetched[at:end]
            if batch[_MAGIC_AT] < _FIRST_MAGIC_WITH_HEADER:
                yield from self._legacy(batch)
            elif end - at < HEADER_BYTES or not self._is_intact(batch, at, fetched[end:]):
                if self._is_fetched_again(batch):
                    return
                yield self._damaged(batch, fetched[end:])
            else:
                yield from self._batch(batch)
            at = end

    def _batch(self, batch: memoryview) -> Iterator[Record]:
        header = BatchHeader.of(batch)
        self.leader_epoch = header.leader_epoch
        self.bytes_read += len(batch)
        if not self._is_skipped(batch, header):
            start = self.next_fetch_offset
            for record in records_of(batch, header, *self.topic_partition):
                if isinstance(record, LogRecord):
                    if record.offset >= start:
                        yield record
                else:
                    yield self._without_read_part(record)
        self._continue_at(max(header.last_offset, header.base_offset) + 1)

    def _is_skipped(self, batch: memoryview, header: BatchHeader) -> bool:
        """Whether the batch belongs to an aborted transaction or is a control batch."""
        producer = header.producer_id
        if producer >= 0 and self.isolation_level == IsolationLevel.READ_COMMITTED:
            self._consume_aborted_transactions_up_to(header.last_offset)
            if header.is_control and aborts(batch, header):
                self.aborted_producer_ids.discard(producer)
            elif header.is_transactional and producer in self.aborted_producer_ids:
                return True
        return header.is_control

    def _is_intact(self, batch: memoryview, at: int, following: memoryview) -> bool:
        """Whether the checksum is right and the offsets fit the batches around it.

        Only the first batch of a fetch may begin before the requested offset. A batch that leaves a
        gap, as compaction does, and reaches into the one after it has a damaged first offset.
        """
        header = BatchHeader.of(batch)
        if calc_crc32c(batch[CHECKED_FROM:]) != header.crc or not self._is_possible(header):
            return False
        if at and header.base_offset < self.next_fetch_offset:
            return False
        if header.base_offset > self.next_fetch_offset and len(following) >= HEADER_BYTES:
            after = BatchHeader.of(following)
            return after.base_offset > header.last_offset or not self._is_possible(after)
        return True

    def _is_possible(self, header: BatchHeader) -> bool:
        """Whether the batch can be at this place; the checksum does not cover its first offset."""
        end = self._high_watermarks.get(self.topic_partition, -1)
        last = max(header.last_offset, header.base_offset)
        return bool(last >= self.next_fetch_offset and (end < 0 or header.base_offset <= end))

    def _is_fetched_again(self, damaged: memoryview) -> bool:
        """Whether to fetch the damaged bytes again before they count as what the log holds."""
        known = self._damage.get(self.topic_partition)
        times, raw = 1, bytes(damaged)
        if known is not None and (known.offset, known.raw) == (self.next_fetch_offset, raw):
            times += known.times
        if times == _FETCHES_TO_CONFIRM:
            del self._damage[self.topic_partition]
            return False
        _log.warning(
            "%s:%d at %d: damaged in the network or in the log; fetching it again",
            *self.topic_partition,
            self.next_fetch_offset,
        )
        self._damage[self.topic_partition] = Damage(self.next_fetch_offset, raw, times)
        return True

    def _damaged(self, batch: memoryview, following: memoryview) -> Unreadable:
        """Return an `Unreadable` for a batch with a wrong checksum, whose fields cannot be trusted.

        It ends where two of the batch's fields agree, and before the next batch; without either it
        covers one offset.
        """
        start, ends = self.next_fetch_offset, list[int]()
        if len(batch) >= HEADER_BYTES:
            header = BatchHeader.of(batch)
            agreed = header.record_count == header.last_offset_delta + 1
            if agreed and self._is_possible(header):
                ends.append(header.last_offset)
            if len(following) >= HEADER_BYTES:
                after = BatchHeader.of(following)
                if after.base_offset > start and self._is_possible(after):
                    ends.append(after.base_offset - 1)
        last = min(ends, default=start)
        return self._unreadable(start, last, "its checksum or its offset is wrong", batch)

    def _unframed(self, fetched: memoryview) -> Unreadable:
        at = self.next_fetch_offset
        return self._unreadable(at, at, "its length is wrong", fetched)

    def _legacy(self, batch: memoryview) -> Iterator[Record]:
        """Yield the records of the format before Kafka 0.11, as kafka-python reads them."""
        # Compressed batches begin with their last offset.
        last, tp = int.from_bytes(batch[:8], "big", signed=True), self.topic_partition
        self.bytes_read += len(batch)
        try:
            old = LegacyRecordBatch(batch, batch[_MAGIC_AT])
            if not old.validate_crc():
                raise ValueError("its checksum is wrong")
            found = [
                LogRecord(
                    tp.topic, tp.partition, one.offset, one.timestamp or -1, one.key, one.value
                )
                for one in old
            ]
        except Exception as error:  # noqa: BLE001 - kafka-python's decoder may raise anything for these bytes
            start = self.next_fetch_offset
            yield self._unreadable(start, last, str(error), batch)
            return
        yield from found
        self._continue_at(last + 1)

    def _unreadable(self, first: int, last: int, detail: str, raw: memoryview) -> Unreadable:
        first = max(first, self.next_fetch_offset)
        last = max(first, last)
        self._continue_at(last + 1)
        what = f"the batch with records {first} to {last}: {detail}"
        tp = self.topic_partition
        return Unreadable(
            tp.topic,
            tp.partition,
            first,
            last,
            -1,
            DAMAGED_BATCH,
            what,
            bytes(raw[:MAX_KEPT_BYTES]),
        )

    def _without_read_part(self, record: Record) -> Record:
        """Return the record without what lies before the requested offset."""
        if (
            isinstance(record, Unreadable)
            and record.offset < self.fetch_offset <= record.last_offset
        ):
            return replace(record, offset=self.fetch_offset)
        return record

    def _continue_at(self, offset: int) -> None:
        self.next_fetch_offset = max(self.next_fetch_offset, offset)
