"""Builds record batches byte by byte, with faults that client libraries prevent, and sends them."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kafka.record.memory_records import MemoryRecordsBuilder
from kafka.record.util import calc_crc32c

if TYPE_CHECKING:
    from collections.abc import Sequence

GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4
CODECS = {"none": 0, "gzip": GZIP, "snappy": SNAPPY, "lz4": LZ4, "zstd": ZSTD}

_CHECKED_FROM = 21
_CRC_AT = 17
# The first version that allows zstd.
_PRODUCE_VERSION = 7


@dataclass(frozen=True)
class Sent:
    """A record as a client would send it."""

    value: bytes | None
    key: bytes | None = None
    headers: tuple[tuple[str, bytes | None], ...] = ()
    timestamp: int = 1_700_000_000_000


def batch(
    records: Sequence[Sent],
    codec: int = 0,
    *,
    base_offset: int = 0,
    producer: int = -1,
    transactional: bool = False,
) -> bytes:
    """Return a sound batch."""
    builder = MemoryRecordsBuilder(
        2,
        codec,
        1 << 30,
        transactional=transactional,
        producer_id=producer,
        producer_epoch=-1 if producer < 0 else 0,
        base_sequence=-1 if producer < 0 else 0,
    )
    for record in records:
        builder.append(record.timestamp, record.key, record.value, list(record.headers))
    builder.close()
    return struct.pack(">q", base_offset) + bytes(builder.buffer())[8:]


def marker(*, base_offset: int, producer: int, commits: bool) -> bytes:
    """Return the control batch with which a broker ends a transaction."""
    key = struct.pack(">hh", 0, commits)
    made = bytearray(
        batch([Sent(bytes(6), key)], base_offset=base_offset, producer=producer, transactional=True)
    )
    made[22] |= 0x20
    return with_checksum(bytes(made))


def with_checksum(changed: bytes) -> bytes:
    """Return the changed batch with a correct checksum."""
    crc = calc_crc32c(memoryview(changed)[_CHECKED_FROM:])
    return changed[:_CRC_AT] + struct.pack(">I", crc) + changed[_CHECKED_FROM:]


def with_header_name(record: Sent, name: bytes) -> bytes:
    """Return a batch of one record with a header whose name is any bytes."""
    stand_in = "~" * len(name)
    made = batch([replace(record, headers=(*record.headers, (stand_in, b"v")))])
    return with_checksum(made.replace(stand_in.encode(), name))


def produce(bootstrap_servers: str, topic: str, partition: int, records: bytes) -> int:
    """Send the raw batch and return its first offset.

    Raises:
        ValueError: the broker refuses it; the message has the error code.
    """
    host, port = bootstrap_servers.split(",")[0].rsplit(":", 1)
    body = struct.pack(">hhi", -1, -1, 30_000)  # no transaction, all replicas, 30 s
    body += struct.pack(">i", 1) + _text(topic) + struct.pack(">ii", 1, partition)
    body += struct.pack(">i", len(records)) + records
    request = struct.pack(">hhi", 0, _PRODUCE_VERSION, 1) + _text("raw") + body
    with socket.create_connection((host, int(port)), 30) as connection:
        connection.sendall(struct.pack(">i", len(request)) + request)
        stream = connection.makefile("rb")
        answer = stream.read(struct.unpack(">i", stream.read(4))[0])
    # Correlation id, one topic, one partition: its number, an error code, the base offset.
    at = 4 + 4 + 2 + len(topic) + 4 + 4
    error, offset = struct.unpack_from(">hq", answer, at)
    if error:
        raise ValueError(f"error {error}")
    return int(offset)


def _text(text: str) -> bytes:
    return struct.pack(">h", len(text)) + text.encode()
