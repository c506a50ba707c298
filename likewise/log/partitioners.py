"""Which partition a client chooses for a key: the defaults of the Kafka client libraries."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from likewise.settings import Partitioner

FNV_OFFSET, FNV_PRIME = 0x811C9DC5, 0x01000193
MURMUR_SEED, MURMUR = 0x9747B28C, 0x5BD1E995
_32_BITS = 0xFFFFFFFF


def partition_of(partitioner: Partitioner, key: bytes, partitions: int) -> int:
    """Return the partition that clients with this partitioner choose for the key."""
    match partitioner:
        case "crc32":
            return zlib.crc32(key) % partitions
        case "fnv1a":
            return fnv1a_partition(_fnv1a(key), partitions)
        case "murmur2":
            return (_murmur2(key) & 0x7FFFFFFF) % partitions


def fnv1a_partition(digest: int, partitions: int) -> int:
    """Return the partition as Go clients compute it: the absolute remainder of a signed number."""
    signed = digest - (1 << 32) if digest >> 31 else digest
    return abs(signed) % partitions


def _fnv1a(key: bytes) -> int:
    digest = FNV_OFFSET
    for byte in key:
        digest = (digest ^ byte) * FNV_PRIME & _32_BITS
    return digest


def _murmur2(key: bytes) -> int:
    digest = (MURMUR_SEED ^ len(key)) & _32_BITS
    whole = len(key) & ~3
    for at in range(0, whole, 4):
        word = int.from_bytes(key[at : at + 4], "little") * MURMUR & _32_BITS
        word = (word ^ word >> 24) * MURMUR & _32_BITS
        digest = digest * MURMUR & _32_BITS ^ word
    if whole < len(key):
        digest = (digest ^ int.from_bytes(key[whole:], "little")) * MURMUR & _32_BITS
    digest = (digest ^ digest >> 13) * MURMUR & _32_BITS
    return digest ^ digest >> 15
