"""Batches that no client library sends, or that not all can decode, by what is wrong with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.raw_batches import (
    CODECS,
    GZIP,
    LZ4,
    SNAPPY,
    ZSTD,
    Sent,
    batch,
    produce,
    with_checksum,
    with_header_name,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_BODY_AT = 61
_BOMB_BYTES = 65 * 1024 * 1024


def sound_in_every_codec(records: Sequence[Sent]) -> dict[str, bytes]:
    """Return a batch for each codec, and one with a header name that is not UTF-8."""
    made = {name: batch(records, codec) for name, codec in CODECS.items()}
    made["header name"] = with_header_name(records[0], b"\xff\xfe\x00")
    return made


def broken(records: Sequence[Sent]) -> dict[str, bytes]:
    """Return batches with the same number of records, none of which can be decoded.

    Apache Kafka accepts only the first two, Tansu nearly all.
    """
    bomb = Sent(bytes(_BOMB_BYTES))
    sound = batch(records)
    return {
        "65 MiB of zeros, gzip": batch([bomb], GZIP),
        "65 MiB of zeros, zstd": batch([bomb], ZSTD),
        "no records": _garbage(batch(records)),
        "no gzip": _garbage(batch(records, GZIP)),
        "no snappy": _garbage(batch(records, SNAPPY)),
        "no lz4": _garbage(batch(records, LZ4)),
        "no zstd": _garbage(batch(records, ZSTD)),
        "checksum": sound[:-2] + bytes([sound[-2] ^ 0xFF]) + sound[-1:],
    }


def send(
    bootstrap_servers: str, topic: str, partition: int, batches: Mapping[str, bytes]
) -> dict[str, int]:
    """Send each batch; return the first offset of those that the broker accepts."""
    taken: dict[str, int] = {}
    for name, raw in batches.items():
        try:
            taken[name] = produce(bootstrap_servers, topic, partition, raw)
        except ValueError:
            continue
    return taken


def _garbage(sound: bytes) -> bytes:
    return with_checksum(sound[:_BODY_AT] + b"\xff" * (len(sound) - _BODY_AT))
