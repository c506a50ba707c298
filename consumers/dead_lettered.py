"""Which events are dead letters already: where the log is read again, they are not buried twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from likewise.errors import SettingsError
from likewise.operations.dead_letter_replay import read_dead_letters
from likewise.service.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from likewise.log.port import Broker
    from likewise.messages.dead_letters import DeadLetter
    from likewise.records import TopicPartition

_LAST = 10_000
"""Dead letters that are looked through where nothing says that the log is read again."""
_PIECE = 1_000
_MOST_KNOWN = 1_000_000
"""Of these some 100 MB; beyond that some are buried twice."""

Grave = tuple[int, int]
"""Offset and timestamp of a record. The offset alone may be that of a log which was deleted."""


class _Start(NamedTuple):
    offset: int
    read_before: bool


class DeadLettered:
    """Tells new dead letters from those that are in their topic. Not thread-safe.

    The topic is read when the first dead letter of a partition comes after that was taken up, and
    only from where the partition was taken up: who has no dead letters pays nothing.
    """

    def __init__(
        self, broker: Broker, group: str, topic: str, *, while_reading: Callable[[], None]
    ) -> None:
        """Read nothing yet; `while_reading` is called now and then meanwhile."""
        self._broker = broker
        self._group = group
        self._topic = topic
        self._while_reading = while_reading
        self._starts: dict[TopicPartition, _Start] = {}
        self._known: dict[TopicPartition, set[Grave]] = {}

    def open(self, starts: Mapping[TopicPartition, int]) -> None:
        """Take up partitions from these offsets.

        Raises:
            TransientError: the broker is out of reach.
        """
        committed = self._broker.committed(self._group, starts)
        for partition, offset in starts.items():
            self._known.pop(partition, None)
            self._starts[partition] = _Start(offset, (committed[partition] or 0) > offset)

    def without_known(self, letters: Sequence[DeadLetter]) -> list[DeadLetter]:
        """Return those that are not in the dead-letter topic yet, as far as it can be read.

        Raises:
            TransientError: the broker is out of reach.
        """
        if unread := {letter.source for letter in letters} & self._starts.keys():
            try:
                self._read(unread)
            except SettingsError as error:
                get_logger().warning("dead letters may be doubled", reason=str(error))
            for partition in unread:
                del self._starts[partition]
        return [letter for letter in letters if not self._is_known(letter)]

    def _is_known(self, letter: DeadLetter) -> bool:
        known = self._known.get(letter.source)
        return known is not None and (letter.offset, letter.timestamp_ms) in known

    def _read(self, partitions: set[TopicPartition]) -> None:
        starts = {partition: self._starts[partition] for partition in partitions}
        found: dict[TopicPartition, set[Grave]] = {partition: set() for partition in partitions}
        read_before = any(start.read_before for start in starts.values())
        room = _MOST_KNOWN
        for letter in self._letters(everything=read_before):
            start = starts.get(letter.source)
            if start is not None and letter.offset >= start.offset and room:
                found[letter.source].add((letter.offset, letter.timestamp_ms))
                room -= 1
        self._known |= {
            partition: dead_lettered for partition, dead_lettered in found.items() if dead_lettered
        }

    def _letters(self, *, everything: bool) -> Iterator[DeadLetter]:
        partitions = self._broker.partitions(self._topic)
        ends = self._broker.end_offsets(partitions)
        begin = self._broker.beginning_offsets(partitions)
        if not everything:
            begin = {partition: max(at, ends[partition] - _LAST) for partition, at in begin.items()}
        for number, found in enumerate(read_dead_letters(self._broker, begin, ends)):
            if number % _PIECE == 0:
                self._while_reading()
            if found.letter is not None:
                yield found.letter
