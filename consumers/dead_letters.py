"""Dead letters: a record that is read again is not dead-lettered twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from likewise.errors import SettingsError
from likewise.messages.dead_letters import send_dead_letters
from likewise.operations.dead_letter_replay import read_dead_letters
from likewise.service.logs import get_logger
from likewise.service.loop import log_dead_letters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from likewise.log.port import Broker, Sink
    from likewise.messages.dead_letters import DeadLetter
    from likewise.records import TopicPartition
    from likewise.service.loop import Retrier

_LAST = 10_000
"""Dead letters to read per partition when no sign shows that events are read again."""
_KEEP_ALIVE_EVERY = 1_000
_MOST_KNOWN = 1_000_000
"""They take some 100 MB. Beyond that, records may be dead-lettered twice."""

_RecordKey = tuple[int, int]
"""Offset and timestamp of a record. The offset alone may be of an earlier log of the same name."""


class _Start(NamedTuple):
    offset: int
    is_read_again: bool


class DeadLetters:
    """Sends records to the dead-letter topic that are not there already. Not thread-safe.

    Reads the topic at the first dead letter after a partition was resumed, and keeps only records
    from the resume point on: without dead letters it costs nothing.
    """

    def __init__(
        self,
        broker: Broker,
        group: str,
        topic: str,
        retry: Retrier,
        *,
        while_reading: Callable[[], None],
    ) -> None:
        """Read nothing yet; `while_reading` is called now and then during a read."""
        self._broker = broker
        self._group = group
        self._topic = topic
        self._retry = retry
        self._while_reading = while_reading
        self._sink: Sink | None = None  # opened for the first dead letter
        self._starts: dict[TopicPartition, _Start] = {}
        self._known: dict[TopicPartition, set[_RecordKey]] = {}

    def start(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Note that these partitions are read from these offsets on.

        Raises:
            StoppedError: the worker was told to stop while the broker could not be reached.
        """
        committed = self._retry(lambda: self._broker.committed(self._group, offsets))
        for partition, offset in offsets.items():
            self._known.pop(partition, None)
            self._starts[partition] = _Start(offset, (committed[partition] or 0) > offset)

    def send(self, letters: Sequence[DeadLetter]) -> None:
        """Return once the broker has the letters: only then may their positions move.

        Raises:
            StoppedError: the worker was told to stop before.
        """
        if not letters:
            return
        if new := self._retry(lambda: self._unsent(letters)):
            log_dead_letters(new)
            self._retry(lambda: self._deliver(new))

    def close(self) -> None:
        """Close the connection that letters were sent over."""
        if self._sink is not None:
            self._sink.close()

    def _deliver(self, letters: Sequence[DeadLetter]) -> None:
        if self._sink is None:
            self._sink = self._broker.sink()
        send_dead_letters(self._sink, self._topic, letters)

    def _unsent(self, letters: Sequence[DeadLetter]) -> list[DeadLetter]:
        """Return the letters that are not in the dead-letter topic yet, as far as we may read it."""
        if unread := {letter.source for letter in letters} & self._starts.keys():
            try:
                self._read(unread)
            except SettingsError as error:
                get_logger().warning("records may be dead-lettered twice", reason=str(error))
            for partition in unread:
                del self._starts[partition]
        return [letter for letter in letters if not self._is_known(letter)]

    def _is_known(self, letter: DeadLetter) -> bool:
        known = self._known.get(letter.source)
        return known is not None and (letter.offset, letter.timestamp_ms) in known

    def _read(self, partitions: set[TopicPartition]) -> None:
        starts = {partition: self._starts[partition] for partition in partitions}
        found: dict[TopicPartition, set[_RecordKey]] = {p: set() for p in partitions}
        room = _MOST_KNOWN
        is_read_again = any(start.is_read_again for start in starts.values())
        for letter in self._letters(everything=is_read_again):
            start = starts.get(letter.source)
            if start is not None and letter.offset >= start.offset and room:
                found[letter.source].add((letter.offset, letter.timestamp_ms))
                room -= 1
        self._known |= {partition: keys for partition, keys in found.items() if keys}

    def _letters(self, *, everything: bool) -> Iterator[DeadLetter]:
        partitions = self._broker.partitions(self._topic)
        ends = self._broker.end_offsets(partitions)
        begin = self._broker.beginning_offsets(partitions)
        if not everything:
            begin = {partition: max(at, ends[partition] - _LAST) for partition, at in begin.items()}
        for number, found in enumerate(read_dead_letters(self._broker, begin, ends)):
            if number % _KEEP_ALIVE_EVERY == 0:
                self._while_reading()
            if found.letter is not None:
                yield found.letter
