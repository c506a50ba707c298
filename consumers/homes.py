"""The home partitions of many users at once: every batch is looked through for who is away from home.

Keys of one length are hashed together, each in 64 bits of one large integer. Python's arithmetic on
those is C, and the consumer does without a numerical library. A number of 32 bits times another fits
into 64, so that no key's product reaches into the next one's bits.
"""

from __future__ import annotations

import sys
import zlib
from array import array
from typing import TYPE_CHECKING

from likewise.ids import UserId
from likewise.partitioners import (
    FNV_OFFSET,
    FNV_PRIME,
    MURMUR,
    MURMUR_SEED,
    fnv1a_partition,
    partition_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from likewise.store import Homes

_FEW = 16
"""So many keys of one length are hashed sooner one by one."""
_LANE = 8


def away_from_home(users: Iterable[UserId], partition: int, homes: Homes) -> list[UserId]:
    """Return which of the users have another home than this partition."""
    number = homes.partitions
    if homes.partitioner == "crc32":
        return [user for user in users if zlib.crc32(user.encode()) % number != partition]
    by_length: dict[int, list[bytes]] = {}
    for user in users:
        key = user.encode()
        try:
            by_length[len(key)].append(key)
        except KeyError:
            by_length[len(key)] = [key]
    away: list[bytes] = []
    for keys in by_length.values():
        if len(keys) <= _FEW or not keys[0]:
            found = [partition_of(homes.partitioner, key, number) for key in keys]
        elif homes.partitioner == "murmur2":
            found = [(digest & 0x7FFFFFFF) % number for digest in _murmur2(keys)]
        else:
            found = [fnv1a_partition(digest, number) for digest in _fnv1a(keys)]
        away += [key for key, home in zip(keys, found, strict=True) if home != partition]
    return [UserId(key.decode()) for key in away]


def _murmur2(keys: Sequence[bytes]) -> list[int]:
    """Return what `likewise.partitioners` does for one key, for keys of one length."""
    length, low = len(keys[0]), _ones(keys, 0xFFFFFFFF)
    joined = b"".join(keys)
    digests = _ones(keys, (MURMUR_SEED ^ length) & 0xFFFFFFFF)
    for at in range(0, length - 3, 4):
        words = _lanes(joined, length, at, 4) * MURMUR & low
        words = (words ^ (words >> 24 & low)) * MURMUR & low
        digests = digests * MURMUR & low ^ words
    if length % 4:
        at = length & ~3
        digests = (digests ^ _lanes(joined, length, at, length - at)) * MURMUR & low
    digests = (digests ^ (digests >> 13 & low)) * MURMUR & low
    return _numbers(digests ^ (digests >> 15 & low), len(keys))


def _fnv1a(keys: Sequence[bytes]) -> list[int]:
    length, low = len(keys[0]), _ones(keys, 0xFFFFFFFF)
    joined = b"".join(keys)
    digests = _ones(keys, FNV_OFFSET)
    for at in range(length):
        digests = (digests ^ _lanes(joined, length, at, 1)) * FNV_PRIME & low
    return _numbers(digests, len(keys))


def _ones(keys: Sequence[bytes], number: int) -> int:
    """Return an integer with the number in every lane."""
    return int.from_bytes(number.to_bytes(_LANE, "little") * len(keys), "little")


def _lanes(joined: bytes, length: int, at: int, size: int) -> int:
    """Return an integer with these bytes of each key in its lane."""
    lanes = bytearray(len(joined) // length * _LANE)
    for number in range(size):
        lanes[number::_LANE] = joined[at + number :: length]
    return int.from_bytes(lanes, "little")


def _numbers(lanes: int, count: int) -> list[int]:
    """Return what is in each lane."""
    numbers = array("Q", lanes.to_bytes(count * _LANE, "little"))
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tolist()
