"""kafka-python's consumer, made to go on where a batch can't be decoded, and to say what it read.

Its own fetcher hands an exception of a decoder on once, and from then on never returns from `poll`.
This takes the place of what decodes, and of nothing else; what it relies on is private to
kafka-python, so tests/unit/test_record_batches.py fails where that changes.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import kafka
from kafka import errors as kafka_errors
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
from likewise.records import DAMAGED_BATCH, Span, TopicPartition, Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from likewise.records import Record

_log = logging.getLogger(__name__)

_FRAME_BYTES = 12
_MAGIC_AT = 16
_MIN_BATCH_BYTES = 17
"""Up to the magic, which says how to read the rest."""
_FIRST_MAGIC_WITH_HEADER = 2
_SAME_TIMES = 3
"""How often the same damaged bytes have to come for them to be what the log holds: the network
may have done it."""


class Doubt(NamedTuple):
    """Damaged bytes, and how often they came."""

    offset: int
    raw: bytes
    times: int


class Consumer(kafka.KafkaConsumer):  # type: ignore[misc]  # kafka-python has no types
    """A consumer of kafka-python that reads committed records only, and gives ours."""

    def __init__(self, **options: Any) -> None:
        super().__init__(isolation_level="read_committed", **options)
        self._fetcher = GuardedFetcher(
            self._client, self._subscription, metrics=self._metrics, **self.config
        )

    @property
    def fetcher(self) -> GuardedFetcher:
        """What fetches, and knows what it has fetched."""
        return self._fetcher


class GuardedFetcher(Fetcher):  # type: ignore[misc]  # kafka-python has no types
    """Decodes with `GuardedRecords`, and notes how far it has read."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.spans: dict[TopicPartition, Span] = {}
        """What was read of each partition since they were last cleared."""
        self.ends: dict[TopicPartition, int] = {}
        """Where each partition ended for readers when last heard of."""
        self.held_back: dict[TopicPartition, int] = {}
        """How many offsets come after that, if any."""
        self.high_watermarks: dict[Any, int] = {}
        self.doubts: dict[Any, Doubt] = {}
        self._refused_at: dict[Any, int] = {}
        # Called by the fetcher as if it were the class.
        self.PartitionRecords = partial(GuardedRecords, self)

    def _parse_fetched_data(self, completed_fetch: Any) -> Any:
        data = completed_fetch.partition_data
        if not data.error_code:
            self._note_end(TopicPartition(*completed_fetch.topic_partition), data)
        elif data.error_code == kafka_errors.CorruptRecordError.errno:
            self._complain(completed_fetch.topic_partition, completed_fetch.fetched_offset)
        return super()._parse_fetched_data(completed_fetch)

    def _complain(self, partition: Any, offset: int) -> None:
        # Once for each place: it is asked again and again, until somebody repairs or moves the log.
        if self._refused_at.get(partition) != offset:
            self._refused_at[partition] = offset
            _log.error("%s:%d at %d: the broker can't read its own log", *partition, offset)

    def _note_end(self, partition: TopicPartition, data: Any) -> None:
        # A broker without transactions may give no stable offset.
        stable = data.last_stable_offset
        self.high_watermarks[partition] = data.high_watermark
        end = self.ends[partition] = data.high_watermark if stable < 0 else stable
        if data.high_watermark > end:
            self.held_back[partition] = data.high_watermark - end
        else:
            self.held_back.pop(partition, None)

    def _append(self, drained: Any, part: Any, max_records: int, update_offsets: bool) -> int:
        before = self._position(part.topic_partition)
        taken: int = super()._append(drained, part, max_records, update_offsets)
        after = self._position(part.topic_partition)
        if before is not None and after is not None and after > before:
            partition = TopicPartition(*part.topic_partition)
            known = self.spans.get(partition)
            start = known.start if known is not None and known.end == before else before
            self.spans[partition] = Span(start, after)
        return taken

    def _position(self, partition: Any) -> int | None:
        state = self._subscriptions.assignment.get(partition)
        if state is None or state.position is None:
            return None
        return int(state.position.offset)


class GuardedRecords(Fetcher.PartitionRecords):  # type: ignore[misc]  # kafka-python has no types
    """What a fetch brought of one partition, decoded as it is taken. Never raises for its content."""

    def __init__(
        self, fetcher: GuardedFetcher, fetch_offset: int, tp: Any, records: Any, **options: Any
    ) -> None:
        self._fetcher = fetcher
        self.next_fetch_offset: int = fetch_offset
        if not records.has_next() and records.size_in_bytes():
            # The fetcher would refuse it, again and again, before it asks us.
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
            # Else an exception leaves what gives no record any more and is not used up either: the
            # fetcher would ask it for ever.
            self.drain()

    def _read(self, fetched: memoryview) -> Iterator[Record]:
        at = 0
        while at < len(fetched):
            length = int.from_bytes(fetched[at + 8 : at + _FRAME_BYTES], "big", signed=True)
            end = at + _FRAME_BYTES + length
            if end > len(fetched) or end - at < _MIN_BATCH_BYTES:
                # The last batch of a fetch is cut off as a rule; the first one never is.
                if not at and not self._is_doubtful(fetched):
                    yield self._unframed(fetched)
                return
            batch = fetched[at:end]
            if batch[_MAGIC_AT] < _FIRST_MAGIC_WITH_HEADER:
                yield from self._legacy(batch)
            elif end - at < HEADER_BYTES or not self._is_intact(batch):
                if self._is_doubtful(batch):
                    return
                yield self._damaged(batch, fetched[end:])
            else:
                yield from self._batch(batch)
            at = end

    def _batch(self, batch: memoryview) -> Iterator[Record]:
        header = BatchHeader.of(batch)
        self.leader_epoch = header.leader_epoch
        self.bytes_read += len(batch)
        if not self._is_passed_over(batch, header):
            for record in records_of(batch, header, *self.topic_partition):
                yield record if isinstance(record, LogRecord) else self._unread_of(record)
        self._go_on_at(max(header.last_offset, header.base_offset) + 1)

    def _is_passed_over(self, batch: memoryview, header: BatchHeader) -> bool:
        """Whether the batch is of an aborted transaction, or no more than a marker."""
        producer = header.producer_id
        if producer >= 0 and self.isolation_level == IsolationLevel.READ_COMMITTED:
            self._consume_aborted_transactions_up_to(header.last_offset)
            if header.is_control and aborts(batch, header):
                self.aborted_producer_ids.discard(producer)
            elif header.is_transactional and producer in self.aborted_producer_ids:
                return True
        return header.is_control

    def _is_intact(self, batch: memoryview) -> bool:
        header = BatchHeader.of(batch)
        return bool(calc_crc32c(batch[CHECKED_FROM:]) == header.crc) and self._is_possible(header)

    def _is_possible(self, header: BatchHeader) -> bool:
        """Whether the batch may stand here; its first offset is no part of what is checked."""
        end = self._fetcher.high_watermarks.get(self.topic_partition, -1)
        last = max(header.last_offset, header.base_offset)
        return bool(last >= self.next_fetch_offset and (end < 0 or header.base_offset <= end))

    def _is_doubtful(self, damaged: memoryview) -> bool:
        """Whether to fetch what is damaged once more, before it counts as what the log holds."""
        known = self._fetcher.doubts.get(self.topic_partition)
        times, raw = 1, bytes(damaged)
        if known is not None and (known.offset, known.raw) == (self.next_fetch_offset, raw):
            times += known.times
        if times == _SAME_TIMES:
            del self._fetcher.doubts[self.topic_partition]
            return False
        _log.warning(
            "%s:%d at %d: damaged on the way or in the log; fetched again",
            *self.topic_partition,
            self.next_fetch_offset,
        )
        self._fetcher.doubts[self.topic_partition] = Doubt(self.next_fetch_offset, raw, times)
        return True

    def _damaged(self, batch: memoryview, following: memoryview) -> Unreadable:
        """Return what stands for a batch whose checksum is wrong, so that none of it can be trusted.

        It ends where two of its numbers agree that it does, or before the next batch; else it is
        passed one offset at a time.
        """
        last = self.next_fetch_offset
        if len(batch) >= HEADER_BYTES:
            header = BatchHeader.of(batch)
            agreed = header.record_count == header.last_offset_delta + 1
            if agreed and self._is_possible(header):
                last = header.last_offset
            elif len(following) >= HEADER_BYTES:
                after = BatchHeader.of(following)
                if after.base_offset > header.base_offset and self._is_possible(after):
                    last = after.base_offset - 1
        return self._unreadable(self.next_fetch_offset, last, "its checksum is wrong", batch)

    def _unframed(self, fetched: memoryview) -> Unreadable:
        at = self.next_fetch_offset
        return self._unreadable(at, at, "its length is wrong", fetched)

    def _legacy(self, batch: memoryview) -> Iterator[Record]:
        """Yield what is in the format that Kafka had before 0.11, as kafka-python reads it."""
        # Of compressed ones it is the last offset that stands in front.
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
        except Exception as error:  # noqa: BLE001 - a decoder of others, over any bytes
            start = self.next_fetch_offset
            yield self._unreadable(start, last, str(error), batch)
            return
        yield from found
        self._go_on_at(last + 1)

    def _unreadable(self, first: int, last: int, detail: str, raw: memoryview) -> Unreadable:
        first = max(first, self.next_fetch_offset)
        last = max(first, last)
        self._go_on_at(last + 1)
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

    def _unread_of(self, record: Record) -> Record:
        """Return it without what lies before the offset that was asked for."""
        if (
            isinstance(record, Unreadable)
            and record.offset < self.fetch_offset <= record.last_offset
        ):
            return replace(record, offset=self.fetch_offset)
        return record

    def _go_on_at(self, offset: int) -> None:
        self.next_fetch_offset = max(self.next_fetch_offset, offset)
