"""Reads dead letters from their topic and sends them again, unchanged.

Records can't be removed from a Kafka topic, so a consumer group stores the position up to which dead
letters have been replayed; see `ReplayPosition`.
"""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from likewise.errors import InvalidInputError, TransientError, UndeliverableError
from likewise.log.ranges import read_between
from likewise.messages.dead_letters import CONFIRMATION_TIMEOUT_S, DeadLetter, decode_dead_letter
from likewise.messages.positions import Position

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from likewise.log.port import Broker, Delivery, Sink
    from likewise.records import TopicPartition

CURSOR_GROUP = "likewise-dead-letters"
_JOIN_TIMEOUT_S = 30.0
_POLL_TIMEOUT_MS = 200


class Found(NamedTuple):
    """A record of the dead-letter topic and its position; None if it is not a dead letter."""

    position: Position
    letter: DeadLetter | None


class Replayed(msgspec.Struct):
    """How many dead letters were sent again, and how many were not, by reason."""

    sent: int = 0
    without_value: int = 0
    """Without a record to send: no value, a value too large to keep, or bytes of an unreadable batch."""
    foreign: int = 0
    """Not a dead letter, or one from a topic of another deployment."""
    failed: int = 0
    failures: list[str] = []


def read_dead_letters(
    broker: Broker, start: Mapping[TopicPartition, int], end: Mapping[TopicPartition, int]
) -> Iterator[Found]:
    """Yield the records of the dead-letter topic from `start` up to but not including `end`.

    Raises:
        TransientError: see `read_between`.
    """
    for records in read_between(broker, start, end):
        for record in records:
            position = Position(record.partition, record.offset)
            try:
                yield Found(position, decode_dead_letter(record))
            except InvalidInputError:
                yield Found(position, None)


def replay(found: Iterable[Found], sink: Sink | None, topics: Collection[str]) -> Replayed:
    """Send each dead letter again, byte for byte, and return when all are confirmed.

    Each goes to the partition it came from, which has the other events of its user. Dead letters from
    topics other than `topics` are not sent. Without a sink, only counts.
    """
    counts = Replayed()
    deliveries: list[Delivery] = []
    for _, letter in found:
        if letter is None or letter.source.topic not in topics:
            counts.foreign += 1
        elif letter.value is None or letter.last_offset is not None:
            counts.without_value += 1
        elif sink is None:
            counts.sent += 1
        else:
            try:
                deliveries.append(_send(sink, letter, letter.value))
            except (TransientError, UndeliverableError) as error:
                _count_failure(counts, error)
    deadline_s = time.monotonic() + CONFIRMATION_TIMEOUT_S
    for delivery in deliveries:
        try:
            delivery.result(max(0.0, deadline_s - time.monotonic()))
            counts.sent += 1
        except (TransientError, UndeliverableError) as error:
            _count_failure(counts, error)
    return counts


class ReplayPosition:
    """The position up to which the dead letters of a topic have been replayed, shared by all processes."""

    def __init__(self, broker: Broker, topic: str) -> None:
        """Connect to nothing yet."""
        self._broker = broker
        self._topic = topic

    def read(self) -> dict[TopicPartition, int]:
        """Return the first offset of each partition that has not been replayed."""
        partitions = self._broker.partitions(self._topic)
        beginnings = self._broker.beginning_offsets(partitions)
        committed = self._broker.committed(CURSOR_GROUP, partitions)
        return {
            partition: max(beginning, committed[partition] or 0)
            for partition, beginning in beginnings.items()
        }

    def move(self, next_offsets: Mapping[TopicPartition, int]) -> None:
        """Store that everything before these offsets has been replayed.

        Blocks for a few seconds, while it joins the group.

        Raises:
            TransientError: another replay owns the partitions; nothing is stored.
        """
        deadline_s = time.monotonic() + _JOIN_TIMEOUT_S
        with closing(self._broker.source(CURSOR_GROUP, [self._topic], max_records=1)) as member:
            while not member.assignment() >= next_offsets.keys():
                if time.monotonic() > deadline_s:
                    raise TransientError(
                        "the dead letters were sent, but could not be marked as replayed: "
                        "another replay is running"
                    )
                member.poll(_POLL_TIMEOUT_MS)
            member.commit(next_offsets)


def _send(sink: Sink, letter: DeadLetter, value: bytes) -> Delivery:
    return sink.send(
        letter.source.topic,
        value,
        key=letter.key,
        headers=letter.headers,
        partition=letter.source.partition,
    )


def _count_failure(counts: Replayed, error: Exception) -> None:
    counts.failed += 1
    if len(counts.failures) < 5:
        counts.failures.append(str(error))
