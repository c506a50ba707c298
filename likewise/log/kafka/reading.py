"""Reading from Kafka: as a member of a consumer group, or whole partitions outside any."""

from __future__ import annotations

from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar

import kafka
from kafka import errors as kafka_errors
from kafka.structs import MemberState

from likewise.errors import TransientError
from likewise.log.kafka.connection import CLOSE_TIMEOUT_MS
from likewise.log.kafka.rebalancing import RebalanceListener
from likewise.records import Committed, TopicPartition

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from likewise.log.kafka.connection import Connection
    from likewise.log.kafka.fetching import Consumer
    from likewise.records import Record, Span

# Another member owns the partitions by now, and reads again what was not committed.
_LOST = (
    kafka_errors.CommitFailedError,
    kafka_errors.RebalanceInProgressError,
    kafka_errors.IllegalGenerationError,
    kafka_errors.UnknownMemberIdError,
)


class KafkaSource:
    """A `likewise.log.port.Source`: one member of a consumer group."""

    listener_type: ClassVar[type[RebalanceListener]] = RebalanceListener

    def __init__(
        self,
        make: Callable[[RebalanceListener], Consumer],
        connection: Connection,
        *,
        seek_first: bool,
    ) -> None:
        """`make` returns a new consumer that reports its rebalances to the listener it is given.

        `seek_first`: see `Broker.source`.

        Raises:
            TransientError: the cluster cannot be reached.
        """
        self._make = make
        self._connection = connection
        self._listener = self.listener_type(hold=seek_first)
        self._consumer = make(self._listener)

    def poll(self, timeout_ms: int) -> list[Record]:
        """See `Source.poll`."""
        return _poll(self._consumer, timeout_ms, self._connection)

    def spans(self) -> dict[TopicPartition, Span]:
        """See `Source.spans`."""
        return dict(self._consumer.fetcher.spans)

    def assignment(self) -> set[TopicPartition]:
        """See `Source.assignment`."""
        return {TopicPartition(*partition) for partition in self._consumer.assignment()}

    def is_member(self) -> bool:
        """See `Source.is_member`."""
        return is_stable(self._consumer)

    def rebalances(self) -> int:
        """See `Source.rebalances`."""
        return self._listener.count

    def known_ends(self) -> dict[TopicPartition, int]:
        """See `Source.known_ends`."""
        ends = self._consumer.fetcher.ends
        return {partition: ends[partition] for partition in self.assignment() & ends.keys()}

    def held_back(self) -> dict[TopicPartition, int]:
        """See `Source.held_back`."""
        held = self._consumer.fetcher.held_back
        return {partition: held[partition] for partition in self.assignment() & held.keys()}

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """See `Source.seek`."""
        if partition in self.assignment():
            self._consumer.seek(native(partition), offset)
            self._release(partition)

    def seek_to_beginning(self, partition: TopicPartition) -> None:
        """See `Source.seek_to_beginning`."""
        if partition in self.assignment():
            self._consumer.seek_to_beginning(native(partition))
            self._release(partition)

    def commit(
        self,
        next_offsets: Mapping[TopicPartition, int],
        notes: Mapping[TopicPartition, str] | None = None,
    ) -> None:
        """See `Source.commit`."""
        noted = notes or {}
        # Kafka accepts offsets for other members' partitions, too, and would move them back.
        own = self.assignment()
        offsets = {
            native(partition): kafka.OffsetAndMetadata(offset, noted.get(partition, ""), -1)
            for partition, offset in next_offsets.items()
            if partition in own
        }
        with self._connection.errors("committing"), suppress(*_LOST):
            if offsets:
                self._consumer.commit(offsets)

    def committed(self) -> dict[TopicPartition, Committed]:
        """See `Source.committed`."""
        timeout_ms = self._connection.settings.request_timeout_ms
        with self._connection.errors("asking for committed offsets"):
            found = {
                partition: self._consumer.committed(
                    native(partition), metadata=True, timeout_ms=timeout_ms
                )
                for partition in self.assignment()
            }
        return {
            partition: Committed(at.offset, at.metadata or "")
            for partition, at in found.items()
            if at is not None and at.offset >= 0
        }

    def keep_alive(self) -> None:
        """See `Source.keep_alive`.

        Polls with everything paused. A rebalance inside the poll may assign partitions that are
        not paused yet; what they return is read again.
        """
        self._consumer.pause(*self._consumer.assignment())
        with suppress(TransientError):
            for record in reversed(self.poll(0)):
                self.seek(TopicPartition(record.topic, record.partition), record.offset)
        paused = self._consumer.paused()
        self._consumer.resume(*(one for one in paused if one not in self._listener.held))

    def rejoin(self) -> None:
        """See `Source.rejoin`."""
        self._replace_consumer(self._make(self._listener))

    def close(self) -> None:
        """See `Source.close`."""
        close_consumer(self._consumer)

    def _replace_consumer(self, made: Consumer) -> None:
        self.close()
        self._consumer = made

    def _release(self, partition: TopicPartition) -> None:
        if partition in self._listener.held:
            self._listener.held.discard(partition)
            self._consumer.resume(native(partition))


class KafkaReader:
    """A `likewise.log.port.LogReader`: reads partitions outside any group."""

    def __init__(self, consumer: Consumer, connection: Connection) -> None:
        self._consumer = consumer
        self._connection = connection

    def poll(self, timeout_ms: int) -> list[Record]:
        """See `LogReader.poll`."""
        return _poll(self._consumer, timeout_ms, self._connection)

    def spans(self) -> dict[TopicPartition, Span]:
        """See `LogReader.spans`."""
        return dict(self._consumer.fetcher.spans)

    def known_ends(self) -> dict[TopicPartition, int]:
        """Return where partitions end, as far as the polls so far have learned. No I/O."""
        return dict(self._consumer.fetcher.ends)

    def close(self) -> None:
        """See `LogReader.close`."""
        close_consumer(self._consumer)


def native(partition: TopicPartition) -> Any:
    """Return the partition as kafka-python's type."""
    return kafka.TopicPartition(*partition)


def is_stable(consumer: Any) -> bool:
    """Whether the consumer is a member of a group that has assigned its partitions."""
    return bool(consumer.group_metadata().state == MemberState.STABLE)


def close_consumer(consumer: Any) -> None:
    """Leave the group and disconnect; bounded by a few seconds, and never raises KafkaError."""
    with suppress(kafka_errors.KafkaError, OSError):
        consumer.close(autocommit=False, timeout_ms=CLOSE_TIMEOUT_MS)


def _poll(consumer: Consumer, timeout_ms: int, connection: Connection) -> list[Record]:
    consumer.fetcher.spans.clear()
    with connection.errors("polling"):
        return list(chain.from_iterable(consumer.poll(timeout_ms).values()))
