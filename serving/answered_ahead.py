"""What was answered beyond a committed offset: requests behind one that still waits.

Offsets are committed up to the first request without a reply. If that one waits for an hour, the next
owner of the partition would answer everything behind it again. So such an offset is committed with a
note: how far the partition was read, and which requests up to there have no reply. The next owner
skips the others. See docs/decisions/0022-replies-ahead-of-the-commit.md.
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
    from serving.incoming import RecordId

# Kafka allows 4,096 bytes (`offset.metadata.max.bytes`).
_MAX_NOTE = 4_000
_FORM = "open1:"
_MAX_PACKED_BYTES = 256 * 1024
# A note is written if more than this was answered ahead, and not more often than this.
_LEAST_AHEAD = 256
_NOTE_EVERY_S = 0.25


class Ahead(NamedTuple):
    """The offsets of a partition that have their reply: `start` up to `end`, exclusive, without `open`."""

    start: int
    end: int
    open: frozenset[int]

    def has(self, offset: int) -> bool:
        """Whether the request at the offset has its reply."""
        return self.start <= offset < self.end and offset not in self.open

    def note(self) -> str:
        """Return it as text for Kafka. If that is too long, it covers a shorter range."""
        found = sorted(self.open)
        end = self.end
        while len(text := _packed(self.start, end, found)) > _MAX_NOTE:
            kept = len(found) * 3 // 4
            end, found = found[kept], found[:kept]
        return text

    @classmethod
    def of(cls, start: int, note: str) -> Self | None:
        """Return what the note committed with offset `start` says; None if likewise did not write it."""
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
        raise ValueError("the last number is incomplete")
    return numbers


class AnsweredAhead:
    """Knows which requests beyond a committed offset have their reply, and what to note of it."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._known: dict[TopicPartition, Ahead] = {}
        self._noted: dict[TopicPartition, tuple[int, str]] = {}
        self._next_note_s = 0.0

    def resume(
        self,
        committed: Mapping[TopicPartition, Committed],
        read: Mapping[TopicPartition, int],
        open_offsets: Mapping[TopicPartition, Iterable[int]],
    ) -> None:
        """Start from the notes of the assigned partitions. Call it after each rebalance.

        `read` is how far this member has read the partitions that it had before, and
        `open_offsets` are the requests of those without a reply. They tell more than a note does.
        """
        self._known.clear()
        self._noted.clear()
        for partition, at in committed.items():
            found = Ahead.of(at.offset, at.note)
            ours = read.get(partition, 0)
            # Not if the topic was recreated: then nothing is committed, or less than was read exists.
            if ours >= at.offset and (found is None or found.end < ours):
                found = Ahead(at.offset, ours, frozenset(open_offsets.get(partition, ())))
            if found is not None and found.start < found.end:
                self._known[partition] = found

    def has(self, record_id: RecordId) -> bool:
        """Whether the request was answered before its record was read, or read again."""
        if not self._known:
            return False
        known = self._known.get(record_id[0])
        return known is not None and known.has(record_id[1])

    def ahead_of(
        self, reached: Mapping[TopicPartition, int], read: Mapping[TopicPartition, int], n_open: int
    ) -> dict[TopicPartition, Ahead]:
        """Return what was answered beyond each offset in `reached`, if that is a lot.

        `n_open` is the number of open requests; their offsets are not in the result.
        """
        ahead = {}
        for partition, start in reached.items():
            known = self._known.get(partition)
            end = read[partition]
            if known is not None and known.end <= end:
                del self._known[partition]  # everything in it was read
                known = None
            if known is not None:
                still_open = frozenset(offset for offset in known.open if offset >= end)
                ahead[partition] = Ahead(start, known.end, still_open)
            elif end - start > _LEAST_AHEAD + 2 * n_open:
                ahead[partition] = Ahead(start, end, frozenset())
        return ahead

    def notes(
        self,
        ahead: Mapping[TopicPartition, Ahead],
        open_offsets: Mapping[TopicPartition, Iterable[int]],
        *,
        at_once: bool = False,
    ) -> dict[TopicPartition, tuple[int, str]]:
        """Return the offsets and notes to commit now, without those that are committed already."""
        if not at_once and self._clock_s() < self._next_note_s:
            return {}
        self._next_note_s = self._clock_s() + _NOTE_EVERY_S
        due = {}
        for partition, answered in ahead.items():
            still_open = answered.open.union(open_offsets.get(partition, ()))
            due[partition] = answered.start, answered._replace(open=still_open).note()
        return {at: noted for at, noted in due.items() if self._noted.get(at) != noted}

    def note_committed(self, noted: Mapping[TopicPartition, tuple[int, str]]) -> None:
        """Remember which notes are committed."""
        self._noted.update(noted)
