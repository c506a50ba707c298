"""What was answered beyond a committed offset: requests behind one that still waits.

Offsets are committed up to the first request without a reply, and one that waits for an hour would have
all that follow it answered again by a successor. So a note stands beside such an offset: how far the
partition was read, and which requests up to there have no reply. Who takes the partition over leaves out the others.
"""

from __future__ import annotations

import base64
import binascii
import time
import zlib
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from likewise.records import Committed, TopicPartition

# Kafka takes 4,096 bytes (`offset.metadata.max.bytes`).
_MAX_NOTE = 4_000
_FORM = "open1:"
_MAX_PACKED_BYTES = 256 * 1024
# Notes are made where much was answered ahead, and so often at most.
_LEAST_AHEAD = 256
_NOTE_EVERY_S = 0.25


class Ahead(NamedTuple):
    """What of a partition has its reply: from `start` up to, but without, `end`, all but `open`."""

    start: int
    end: int
    open: frozenset[int]

    def has(self, offset: int) -> bool:
        """Whether the request there has its reply."""
        return self.start <= offset < self.end and offset not in self.open

    def note(self) -> str:
        """Return it as text for Kafka; where there is no room for all of it, a shorter part."""
        found = sorted(self.open)
        end = self.end
        while len(text := _packed(self.start, end, found)) > _MAX_NOTE:
            kept = len(found) * 3 // 4
            end, found = found[kept], found[:kept]
        return text

    @classmethod
    def of(cls, start: int, note: str) -> Self | None:
        """Return what a note beside the offset `start` says; None where it is none of ours."""
        if not note.startswith(_FORM):
            return None
        try:
            packed = base64.b64decode(note.removeprefix(_FORM), validate=True)
            plain = zlib.decompressobj().decompress(packed, _MAX_PACKED_BYTES)
            length, *steps = _numbers(plain)
        except (binascii.Error, zlib.error, ValueError):
            return None
        offsets, at = [], start
        for step in steps:
            at += step
            offsets.append(at)
        return cls(start, start + length, frozenset(offsets))


def _packed(start: int, end: int, offsets: Iterable[int]) -> str:
    written = bytearray()
    at = start
    _write(written, end - start)
    for offset in offsets:
        _write(written, offset - at)
        at = offset
    return _FORM + base64.b64encode(zlib.compress(bytes(written))).decode()


def _write(written: bytearray, number: int) -> None:
    """Append a number in groups of seven bits, the lowest first."""
    while number >= 0x80:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)


def _numbers(plain: bytes) -> list[int]:
    """Return the numbers that `_write` wrote.

    Raises:
        ValueError: the last one is incomplete.
    """
    numbers, number, shift = [], 0, 0
    for byte in plain:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            numbers.append(number)
            number = shift = 0
    if shift:
        raise ValueError("a number without its end")
    return numbers


class AnsweredAhead:
    """Says which requests have their reply already, and what to note for a successor."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._known: dict[TopicPartition, Ahead] = {}
        self._noted: dict[TopicPartition, tuple[int, str]] = {}
        self._next_note_s = 0.0

    def take_over(
        self,
        committed: Mapping[TopicPartition, Committed],
        read: Mapping[TopicPartition, int],
        open_places: Iterable[tuple[TopicPartition, int]],
    ) -> None:
        """Begin with what was noted of the partitions assigned; a partition that was kept is known better.

        `read` says how far those were read that this member had before, `open_places` what of them has
        no reply. Call it after each rebalance.
        """
        self._known.clear()
        self._noted.clear()
        open_of = _by_partition(open_places)
        for partition, at in committed.items():
            found = Ahead.of(at.offset, at.note)
            ours = read.get(partition, 0)
            # Not where the log was made again: then nothing is committed, or less than was read is there.
            if ours >= at.offset and (found is None or found.end < ours):
                found = Ahead(at.offset, ours, frozenset(open_of.get(partition, ())))
            if found is not None and found.start < found.end:
                self._known[partition] = found

    def has(self, place: tuple[TopicPartition, int]) -> bool:
        """Whether the request there had its reply before it came to this member, or came again."""
        if not self._known:
            return False
        known = self._known.get(place[0])
        return known is not None and known.has(place[1])

    def pinned(
        self, reached: Mapping[TopicPartition, int], read: Mapping[TopicPartition, int], n_open: int
    ) -> dict[TopicPartition, Ahead]:
        """Return what is ahead of each offset to commit, where it is much; the open ones are left out.

        `reached` is what would be committed, `n_open` how many requests have no reply in all.
        """
        ahead = {}
        for partition, start in reached.items():
            known = self._known.get(partition)
            end = read[partition]
            if known is not None and known.end <= end:
                del self._known[partition]  # all of it was come across
                known = None
            if known is not None:
                still_open = frozenset(offset for offset in known.open if offset >= end)
                ahead[partition] = Ahead(start, known.end, still_open)
            elif end - start > _LEAST_AHEAD + 2 * n_open:
                ahead[partition] = Ahead(start, end, frozenset())
        return ahead

    def notes(
        self,
        pinned: Mapping[TopicPartition, Ahead],
        open_places: Iterable[tuple[TopicPartition, int]],
        *,
        at_once: bool = False,
    ) -> dict[TopicPartition, tuple[int, str]]:
        """Return the offsets and notes that are due; those that stand there already are left out."""
        if not at_once and self._clock_s() < self._next_note_s:
            return {}
        self._next_note_s = self._clock_s() + _NOTE_EVERY_S
        open_of = _by_partition(open_places)
        due = {}
        for partition, ahead in pinned.items():
            still_open = ahead.open.union(open_of.get(partition, ()))
            due[partition] = ahead.start, ahead._replace(open=still_open).note()
        return {at: noted for at, noted in due.items() if self._noted.get(at) != noted}

    def note_committed(self, noted: Mapping[TopicPartition, tuple[int, str]]) -> None:
        """Remember what stands there."""
        self._noted.update(noted)


def _by_partition(
    places: Iterable[tuple[TopicPartition, int]],
) -> dict[TopicPartition, list[int]]:
    offsets: dict[TopicPartition, list[int]] = {}
    for partition, offset in places:
        offsets.setdefault(partition, []).append(offset)
    return offsets
