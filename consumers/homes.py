"""The home partitions of many users at once: every batch is searched for users away from home.

Keys of one length are hashed together, each in 64 bits of one large integer. Python computes with
large integers in C, so the consumer needs no numerical library. A product of two 32-bit numbers fits
into 64 bits, so no key reaches the bits of the next one.
"""

from __future__ import annotations

import sys
import zlib
from array import array
from collections import defaultdict
from typing import TYPE_CHECKING

from likewise.log.partitioners import (
    FNV_OFFSET,
    FNV_PRIME,
    MURMUR,
    MURMUR_SEED,
    fnv1a_partition,
    partition_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from likewise.messages.ids import UserId
    from likewise.store.port import Homes, Scattered

    Marks = Mapping[UserId, Scattered | None]
    """The mark of each user who has one, or needs one."""

_FEW = 16
"""Up to this many keys of one length are hashed faster one by one."""
_LANE = 8


def away_from_home(users: Iterable[UserId], partition: int, homes: Homes) -> list[UserId]:
    """Return the users whose home is not this partition."""
    number = homes.partitions
    if homes.partitioner == "crc32":
        return [user for user in users if zlib.crc32(user.encode()) % number != partition]
    by_length: defaultdict[int, list[UserId]] = defaultdict(list)
    for user in users:
        by_length[len(user)].append(user)
    away: list[UserId] = []
    for some in by_length.values():
        found = _homes(some, homes)
        if found.count(partition) != len(found):
            away += [user for user, home in zip(some, found, strict=True) if home != partition]
    return away


def _homes(users: Sequence[UserId], homes: Homes) -> list[int]:
    """Return the home of each user; their ids have the same length in characters."""
    length, number = len(users[0]), homes.partitions
    joined = "".join(users).encode()
    if len(users) <= _FEW or not length or len(joined) != length * len(users):
        return [partition_of(homes.partitioner, user.encode(), number) for user in users]
    if homes.partitioner == "murmur2":
        return [(digest & 0x7FFFFFFF) % number for digest in _murmur2(joined, length)]
    return [fnv1a_partition(digest, number) for digest in _fnv1a(joined, length)]


def _murmur2(joined: bytes, length: int) -> list[int]:
    """Return the same digests as `likewise.log.partitioners`, for keys of one length in bytes."""
    count = len(joined) // length
    low = _repeated(0xFFFFFFFF, count)
    digests = _repeated((MURMUR_SEED ^ length) & 0xFFFFFFFF, count)
    for at in range(0, length - 3, 4):
        words = _lanes(joined, length, at, 4) * MURMUR & low
        words = (words ^ (words >> 24 & low)) * MURMUR & low
        digests = digests * MURMUR & low ^ words
    if length % 4:
        at = length & ~3
        digests = (digests ^ _lanes(joined, length, at, length - at)) * MURMUR & low
    digests = (digests ^ (digests >> 13 & low)) * MURMUR & low
    return _numbers(digests ^ (digests >> 15 & low), count)


def _fnv1a(joined: bytes, length: int) -> list[int]:
    count = len(joined) // length
    low, digests = _repeated(0xFFFFFFFF, count), _repeated(FNV_OFFSET, count)
    for at in range(length):
        digests = (digests ^ _lanes(joined, length, at, 1)) * FNV_PRIME & low
    return _numbers(digests, count)


def _repeated(number: int, count: int) -> int:
    """Return an integer with the number in each of `count` lanes."""
    return int.from_bytes(number.to_bytes(_LANE, "little") * count, "little")


def _lanes(joined: bytes, length: int, at: int, size: int) -> int:
    """Return an integer with `size` bytes of each key, from `at` on, in its lane."""
    lanes = bytearray(len(joined) // length * _LANE)
    for number in range(size):
        lanes[number::_LANE] = joined[at + number :: length]
    return int.from_bytes(lanes, "little")


def _numbers(lanes: int, count: int) -> list[int]:
    """Return the number in each lane."""
    numbers = array("Q", lanes.to_bytes(count * _LANE, "little"))
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tolist()
