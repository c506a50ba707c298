"""Decodes Kafka's record batches, one record at a time.

No bytes make it raise: what is not a record becomes an `Unreadable` with its offsets, and the records
around it are kept. kafka-python stops reading the partition instead.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple, cast

from likewise.log.kafka.decompression import TooLargeError, decompress
from likewise.records import DAMAGED_BATCH, DAMAGED_RECORD, TOO_LARGE_BATCH, Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from likewise.records import Record

MAX_BATCH_BYTES = 64 * 1024 * 1024
"""The largest size of a batch after decompression.

A topic accepts batches of 1 MiB by default, and likes compress to a tenth, so this is several times
what honest producers send. A consumer holds one such batch at a time.
"""

MAX_KEPT_BYTES = 1024 * 1024
"""How much is kept of what cannot be decoded."""

# Offset of the first record, length of what follows, epoch, magic, CRC, attributes, last offset,
# first and last time, producer's id and epoch, first sequence number, number of records.
_HEADER = struct.Struct(">qiibIhiqqqhii")
HEADER_BYTES = _HEADER.size
CHECKED_FROM = struct.calcsize(">qiibI")
"""Where the part of a batch begins that the checksum covers."""

_CODEC, _APPEND_TIME, _TRANSACTIONAL, _CONTROL = 0x07, 0x08, 0x10, 0x20
# A record has at least its attributes and five numbers. A shorter one means that the lengths are
# wrong, and so do many damaged ones in a row.
_MIN_RECORD_BYTES = 6
_MAX_DAMAGED = 100


class LogRecord(NamedTuple):
    """A `likewise.records.Record` of a real log. `leader_epoch` is that of its batch, or -1."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    leader_epoch: int = -1


class BatchHeader(NamedTuple):
    """The header of a batch."""

    base_offset: int
    length: int
    leader_epoch: int
    magic: int
    crc: int
    attributes: int
    last_offset_delta: int
    first_timestamp: int
    max_timestamp: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    record_count: int

    @classmethod
    def of(cls, batch: memoryview) -> BatchHeader:
        """Read the header of a batch that is at least that long."""
        return cls._make(_HEADER.unpack_from(batch))

    @property
    def last_offset(self) -> int:
        """The offset of the last record that the batch had when it was written."""
        return self.base_offset + self.last_offset_delta

    @property
    def is_transactional(self) -> bool:
        """Whether it belongs to a transaction, which a later control batch commits or aborts."""
        return bool(self.attributes & _TRANSACTIONAL)

    @property
    def is_control(self) -> bool:
        """Whether it ends a transaction; no client sent it as data."""
        return bool(self.attributes & _CONTROL)


def records_of(
    batch: memoryview, header: BatchHeader, topic: str, partition: int
) -> Iterator[Record]:
    """Yield the records of a whole batch in the order of their offsets; ignores the checksum."""
    codec = header.attributes & _CODEC
    body = bytes(batch[HEADER_BYTES:])
    try:
        if header.last_offset_delta < 0 or header.record_count < 0:
            raise ValueError(
                f"{header.record_count} records up to {header.last_offset_delta} after"
            )
        if codec:
            body = decompress(codec, body, MAX_BATCH_BYTES)
    except ValueError as error:
        code = TOO_LARGE_BATCH if isinstance(error, TooLargeError) else DAMAGED_BATCH
        yield unreadable_batch(batch, header, topic, partition, code, str(error))
        return
    yield from _Body(body, header, topic, partition).records()


def unreadable_batch(
    batch: memoryview, header: BatchHeader, topic: str, partition: int, code: str, detail: str
) -> Unreadable:
    """Return an `Unreadable` in place of a whole batch."""
    first, last = header.base_offset, max(header.last_offset, header.base_offset)
    which = f"the batch of records {first} to {last}: {detail}"
    raw = bytes(batch[:MAX_KEPT_BYTES])
    return Unreadable(topic, partition, first, last, header.max_timestamp, code, which, raw)


def aborts(batch: memoryview, header: BatchHeader) -> bool:
    """Whether a control batch aborts its producer's transaction."""
    for record in records_of(batch, header, "", 0):
        # The key: a version and a type, 0 for an abort and 1 for a commit.
        return record.key is not None and record.key[2:4] == b"\x00\x00"
    return False


class _Body:
    """The decompressed records of one batch."""

    def __init__(self, body: bytes, header: BatchHeader, topic: str, partition: int) -> None:
        self._body = body
        self._header = header
        self._topic = topic
        self._partition = partition

    def records(self) -> Iterator[Record]:
        """Yield the records; after a damaged one, go on with the next if the length is sound."""
        header, body = self._header, self._body
        read, time_ms = self._read, None
        if header.attributes & _APPEND_TIME:
            time_ms = header.max_timestamp
        before, at, damaged = header.base_offset - 1, 0, 0
        for _ in range(header.record_count):
            try:
                length, start = _varint(body, at)
                end = start + length
                if length < _MIN_RECORD_BYTES or end > len(body) or damaged == _MAX_DAMAGED:
                    raise ValueError(f"a record of {length} bytes")
            except (IndexError, ValueError) as error:
                yield from self._rest(before, at, error)
                return
            try:
                record = read(start, end, time_ms)
                if not before < record.offset <= header.last_offset:
                    raise ValueError(f"record {record.offset} after record {before}")
            except (IndexError, ValueError) as error:
                damaged += 1
                if before < header.last_offset:
                    before += 1
                    yield self._damaged(before, before, at, end, error)
            else:
                before = record.offset
                yield record
            at = end
        if at < len(body):
            yield from self._rest(before, at, ValueError("more bytes than records"))

    def _read(self, at: int, end: int, time_ms: int | None) -> LogRecord:
        # One record: attributes, time, offset, key, value, headers. Most numbers fit in a byte and
        # are decoded inline: a consumer spends most of its time here.
        body = self._body
        header = self._header
        at += 1
        n = body[at]
        if n < 0x80:
            time, at = (n >> 1) ^ -(n & 1), at + 1
        else:
            time, at = _varint(body, at)
        n = body[at]
        if n < 0x80:
            offset, at = (n >> 1) ^ -(n & 1), at + 1
        else:
            offset, at = _varint(body, at)
        key, at = _bytes(body, at)
        value, at = _bytes(body, at)
        n = body[at]
        headers: tuple[tuple[str, bytes], ...] = ()
        if n:
            headers, at = _headers(body, at, end)
        else:
            at += 1
        if at != end:
            raise ValueError(f"its fields are {at - end} bytes longer than the record")
        return LogRecord(
            self._topic,
            self._partition,
            header.base_offset + offset,
            header.first_timestamp + time if time_ms is None else time_ms,
            key,
            value,
            headers,
            header.leader_epoch,
        )

    def _rest(self, before: int, at: int, error: Exception) -> Iterator[Record]:
        """Yield one `Unreadable` for all records that are left, if any are."""
        if before < (last := self._header.last_offset):
            yield self._damaged(before + 1, last, at, len(self._body), error)

    def _damaged(self, first: int, last: int, at: int, end: int, error: Exception) -> Unreadable:
        which = f"record {first}" if first == last else f"records {first} to {last}"
        return Unreadable(
            self._topic,
            self._partition,
            first,
            last,
            self._header.max_timestamp,
            DAMAGED_RECORD,
            f"{which}: {error}",
            self._body[at : min(end, at + MAX_KEPT_BYTES)],
        )


def _bytes(body: bytes, at: int) -> tuple[bytes | None, int]:
    n = body[at]
    if n < 0x80:
        size, at = (n >> 1) ^ -(n & 1), at + 1
    else:
        size, at = _varint(body, at)
    if size < 0:
        return None, at
    end = at + size
    return body[at:end], end


def _headers(body: bytes, at: int, end: int) -> tuple[tuple[tuple[str, bytes], ...], int]:
    count, at = _varint(body, at)
    if not 0 <= count <= end - at:
        raise ValueError(f"{count} headers")
    headers: list[tuple[str, bytes]] = []
    for _ in range(count):
        name, at = _bytes(body, at)
        value, at = _bytes(body, at)
        if name is None or at > end:
            raise ValueError("a header without a name, or longer than its record")
        # Names are UTF-8 by convention only; other bytes are shown as `\xff`. A header may have no
        # value, which the type of `Record` does not say; dead letters keep it that way.
        headers.append((name.decode(errors="backslashreplace"), cast("bytes", value)))
    return tuple(headers), at


def _varint(body: bytes, at: int) -> tuple[int, int]:
    """Return a zigzag varint, and the position after it."""
    number = shift = 0
    while True:
        byte = body[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (number >> 1) ^ -(number & 1), at
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than 64 bits")
