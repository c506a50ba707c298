"""The home partitions of many users at once: every batch is looked through for who is away from home."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from likewise.partitioners import partition_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from likewise.ids import UserId
    from likewise.store import Homes

_FEW = 48
"""So many keys are hashed sooner one by one."""
_LONG = 64
"""Longer keys, in bytes, are rare: they are hashed one by one, so that all need few rounds."""
_MURMUR = np.uint32(0x5BD1E995)
_MURMUR_SEED = np.uint32(0x9747B28C)
_FNV_OFFSET, _FNV_PRIME = np.uint32(0x811C9DC5), np.uint32(0x01000193)


def away_from_home(users: Sequence[UserId], partition: int, homes: Homes) -> list[UserId]:
    """Return which of the users have another home than this partition."""
    keys = [user.encode() for user in users]
    if homes.partitioner == "crc32":
        number = homes.partitions
        return [
            user
            for user, key in zip(users, keys, strict=True)
            if zlib.crc32(key) % number != partition
        ]
    if len(keys) < _FEW:
        return [
            user
            for user, key in zip(users, keys, strict=True)
            if partition_of(homes.partitioner, key, homes.partitions) != partition
        ]
    return [users[at] for at in np.flatnonzero(_homes(keys, homes) != partition).tolist()]


def _homes(keys: Sequence[bytes], homes: Homes) -> Any:
    lengths = np.fromiter(map(len, keys), dtype=np.uint32, count=len(keys))
    width = 4 * -(-min(int(lengths.max()), _LONG) // 4)
    bytes_ = np.array(keys, dtype=f"S{width}").view(np.uint8).reshape(len(keys), width)
    if homes.partitioner == "fnv1a":
        found = _fnv1a(bytes_, lengths).astype(np.int32).astype(np.int64)
        found = np.abs(found) % homes.partitions
    else:
        found = (_murmur2(bytes_, lengths) & np.uint32(0x7FFFFFFF)) % homes.partitions
    for at in np.flatnonzero(lengths > _LONG).tolist():
        found[at] = partition_of(homes.partitioner, keys[at], homes.partitions)
    return found


def _murmur2(bytes_: Any, lengths: Any) -> Any:
    """Return what `likewise.partitioners` does for one key, for each row of `bytes_` (uint32)."""
    words = np.ascontiguousarray(bytes_.view("<u4").T)
    digests = _MURMUR_SEED ^ lengths
    whole = lengths // 4
    for number in range(len(words)):
        word = words[number] * _MURMUR
        word = (word ^ word >> np.uint32(24)) * _MURMUR
        # Of a last word that is not whole, the bytes beyond the key are zero.
        rest = np.where(lengths > 4 * number, (digests ^ words[number]) * _MURMUR, digests)
        digests = np.where(whole > number, digests * _MURMUR ^ word, rest)
    digests = (digests ^ digests >> np.uint32(13)) * _MURMUR
    return digests ^ digests >> np.uint32(15)


def _fnv1a(bytes_: Any, lengths: Any) -> Any:
    digests = np.full(len(lengths), _FNV_OFFSET)
    for at in range(bytes_.shape[1]):
        digests = np.where(lengths > at, (digests ^ bytes_[:, at]) * _FNV_PRIME, digests)
    return digests
