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


class KafkaSource:
    """A `likewise.streams.Source`: one member of a consumer group."""

    def __init__(self, make: Callable[[_Shares], Any], connection: Connection) -> None:
        """Take part by consumers of kafka-python that `make` makes; they join with their first poll.

        What `make` is given is to listen to their rebalances.

        Raises:
            TransientError: the cluster is out of reach.
        """
        self._make = make
        self._connection = connection
        self._shares = _Shares()
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
        return bool(self._consumer.group_metadata().state == MemberState.STABLE)

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
        made = self._make(self._shares)
        if not self.is_member():
            # Tansu never elects another leader where one leaves while the group forms. Without a
            # membership that it knows of, the client does not leave: the session's end does as well.
            self._consumer._coordinator.reset_generation()
        self.close()
        self._consumer = made

    def close(self) -> None:
        """See `Source.close`."""
        with suppress(kafka_errors.KafkaError, OSError):
            self._consumer.close(autocommit=False, timeout_ms=CLOSE_TIMEOUT_MS)


class _Shares(kafka.ConsumerRebalanceListener):  # type: ignore[misc]  # kafka-python has no types
    """Counts how often partitions were shared out; called within `poll`, by the client's thread."""

    def __init__(self) -> None:
        self.count = 0

    def on_partitions_revoked(self, revoked: object) -> None:
        """Say nothing: they are read until the new share is known."""

    def on_partitions_assigned(self, assigned: object) -> None:
        """Count."""
        self.count += 1


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
        with suppress(kafka_errors.KafkaError, OSError):
            self._consumer.close(autocommit=False, timeout_ms=CLOSE_TIMEOUT_MS)


def native(partition: TopicPartition) -> Any:
    """Return the partition as kafka-python wants it."""
    return kafka.TopicPartition(*partition)


def _flat(batches: Mapping[Any, list[Any]]) -> list[Record]:
    return [cast("Record", record) for records in batches.values() for record in records]
