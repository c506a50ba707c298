"""Reading from Kafka: as a member of a consumer group, or whole partitions outside any."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import kafka
from kafka import errors as kafka_errors
from kafka.structs import MemberState

from likewise.errors import TransientError
from likewise.kafka_streams.connection import CLOSE_TIMEOUT_MS
from likewise.kafka_streams.shares import Shares
from likewise.streams import TopicPartition

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from likewise.kafka_streams.connection import Connection
    from likewise.streams import Record

# The partitions are somebody else's by now, who reads again what was not committed.
_LOST = (
    kafka_errors.CommitFailedError,
    kafka_errors.RebalanceInProgressError,
    kafka_errors.IllegalGenerationError,
    kafka_errors.UnknownMemberIdError,
)
_SUCCESSION_S = 10.0
_SUCCESSION_POLL_MS = 100


class KafkaSource:
    """A `likewise.streams.Source`: one member of a consumer group."""

    def __init__(self, make: Callable[[Shares], Any], connection: Connection) -> None:
        """Take part by consumers of kafka-python that `make` makes; they join with their first poll.

        What `make` is given is to listen to their rebalances.

        Raises:
            TransientError: the cluster is out of reach.
        """
        self._make = make
        self._connection = connection
        self._shares = Shares()
        self._consumer = make(self._shares)

    def poll(self, timeout_ms: int) -> list[Record]:
        """See `Source.poll`."""
        with self._connection.errors("polling"):
            return _flat(self._consumer.poll(timeout_ms))

    def assignment(self) -> set[TopicPartition]:
        """See `Source.assignment`."""
        return {TopicPartition(*partition) for partition in self._consumer.assignment()}

    def is_member(self) -> bool:
        """See `Source.is_member`."""
        return _is_stable(self._consumer)

    def rebalances(self) -> int:
        """See `Source.rebalances`."""
        return self._shares.count

    def known_ends(self) -> dict[TopicPartition, int]:
        """See `Source.known_ends`."""
        ends = {
            TopicPartition(*partition): self._consumer.highwater(partition)
            for partition in self._consumer.assignment()
        }
        return {partition: end for partition, end in ends.items() if end is not None}

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """See `Source.seek`."""
        if partition in self.assignment():
            self._consumer.seek(native(partition), offset)

    def seek_to_beginning(self, partition: TopicPartition) -> None:
        """See `Source.seek_to_beginning`."""
        if partition in self.assignment():
            self._consumer.seek_to_beginning(native(partition))

    def commit(self, next_offsets: Mapping[TopicPartition, int]) -> None:
        """See `Source.commit`."""
        # Kafka would take offsets for the partitions of other members too, and set them back.
        own = self.assignment()
        offsets = {
            native(partition): kafka.OffsetAndMetadata(offset, "", -1)
            for partition, offset in next_offsets.items()
            if partition in own
        }
        with self._connection.errors("committing"), suppress(*_LOST):
            if offsets:
                self._consumer.commit(offsets)

    def keep_alive(self) -> None:
        """See `Source.keep_alive`.

        Polling with everything paused keeps the membership; a rebalance inside may assign
        partitions that are not paused yet: what they give is read again.
        """
        self._consumer.pause(*self._consumer.assignment())
        with suppress(TransientError):
            for record in reversed(self.poll(0)):
                self.seek(TopicPartition(record.topic, record.partition), record.offset)
        self._consumer.resume(*self._consumer.paused())

    def rejoin(self) -> None:
        """See `Source.rejoin`."""
        astray = not self.is_member()
        if astray and self._shares.leader is not None:
            self._succeed(self._shares.leader)
        made = self._make(self._shares)
        if astray:
            # Without a membership that it knows of, the client does not leave, which Tansu would
            # take badly now (see `_succeed`): the session's end does as well.
            self._consumer._coordinator.reset_generation()
        self.close()
        self._consumer = made

    def _succeed(self, leader: str) -> None:
        """Share out the partitions in the place of a leader that has gone, and leave for it.

        Tansu keeps waiting for a leader that left while the group was forming. Once its place was
        taken and left in a group that is formed, another one is elected. Should it still be there,
        it joins anew with its next heartbeat.
        """
        stand_in = self._make(Shares())
        try:
            stand_in._coordinator.reset_generation(leader)
            deadline_s = time.monotonic() + _SUCCESSION_S
            with self._connection.errors("joining for the leader"):
                while not _is_stable(stand_in) and time.monotonic() < deadline_s:
                    stand_in.poll(_SUCCESSION_POLL_MS)  # not committed: it will be read again
        finally:
            _close(stand_in)

    def close(self) -> None:
        """See `Source.close`."""
        _close(self._consumer)


class KafkaReader:
    """A `likewise.streams.LogReader`: reads partitions outside any group."""

    def __init__(self, consumer: Any, connection: Connection) -> None:
        self._consumer = consumer
        self._connection = connection

    def poll(self, timeout_ms: int) -> list[Record]:
        """See `LogReader.poll`."""
        with self._connection.errors("polling"):
            return _flat(self._consumer.poll(timeout_ms))

    def end_offsets(self, timeout_ms: int) -> dict[TopicPartition, int]:
        """Return where each of the partitions ends, going by what a fetch says of it.

        Raises:
            TransientError: some were not heard of in time.
        """
        partitions = self._consumer.assignment()
        deadline_s = time.monotonic() + timeout_ms / 1000
        ends: dict[Any, int | None] = dict.fromkeys(partitions)
        while unheard := [partition for partition, end in ends.items() if end is None]:
            if time.monotonic() > deadline_s:
                raise TransientError(
                    f"no offsets of {len(unheard)} partitions in {timeout_ms} ms"
                ).of("kafka")
            self.poll(10)
            ends = {partition: self._consumer.highwater(partition) for partition in partitions}
        return {
            TopicPartition(*partition): end for partition, end in ends.items() if end is not None
        }

    def close(self) -> None:
        """See `LogReader.close`."""
        _close(self._consumer)


def native(partition: TopicPartition) -> Any:
    """Return the partition as kafka-python wants it."""
    return kafka.TopicPartition(*partition)


def _is_stable(consumer: Any) -> bool:
    return bool(consumer.group_metadata().state == MemberState.STABLE)


def _close(consumer: Any) -> None:
    with suppress(kafka_errors.KafkaError, OSError):
        consumer.close(autocommit=False, timeout_ms=CLOSE_TIMEOUT_MS)


def _flat(batches: Mapping[Any, list[Any]]) -> list[Record]:
    return [cast("Record", record) for records in batches.values() for record in records]
