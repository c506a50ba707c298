"""Reading from Kafka: as a member of a consumer group, or whole partitions outside any."""

from __future__ import annotations

import time
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING, Any

import kafka
from kafka import errors as kafka_errors
from kafka.structs import MemberState

from likewise.errors import TransientError
from likewise.log.kafka.connection import CLOSE_TIMEOUT_MS
from likewise.log.kafka.shares import Shares
from likewise.records import Committed, TopicPartition

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from likewise.log.kafka.connection import Connection
    from likewise.log.kafka.fetching import Consumer
    from likewise.records import Record, Span

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
    """A `likewise.log.port.Source`: one member of a consumer group."""

    def __init__(
        self, make: Callable[[Shares], Consumer], connection: Connection, *, seek_first: bool
    ) -> None:
        """Take part by consumers of kafka-python that `make` makes; they join with their first poll.

        What `make` is given is to listen to their rebalances. `seek_first`: see `Broker.source`.

        Raises:
            TransientError: the cluster is out of reach.
        """
        self._make = make
        self._connection = connection
        self._shares = Shares(hold=seek_first)
        self._consumer = make(self._shares)

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
        return _is_stable(self._consumer)

    def rebalances(self) -> int:
        """See `Source.rebalances`."""
        return self._shares.count

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

    def _release(self, partition: TopicPartition) -> None:
        if partition in self._shares.held:
            self._shares.held.discard(partition)
            self._consumer.resume(native(partition))

    def commit(
        self,
        next_offsets: Mapping[TopicPartition, int],
        notes: Mapping[TopicPartition, str] | None = None,
    ) -> None:
        """See `Source.commit`."""
        noted = notes or {}
        # Kafka would take offsets for the partitions of other members too, and set them back.
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

        Polling with everything paused keeps the membership; a rebalance inside may assign
        partitions that are not paused yet: what they give is read again.
        """
        self._consumer.pause(*self._consumer.assignment())
        with suppress(TransientError):
            for record in reversed(self.poll(0)):
                self.seek(TopicPartition(record.topic, record.partition), record.offset)
        paused = self._consumer.paused()
        self._consumer.resume(*(one for one in paused if one not in self._shares.held))

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

    def end_offsets(self, timeout_ms: int) -> dict[TopicPartition, int]:
        """Return where each of the partitions ends, going by what a fetch says of it.

        Raises:
            TransientError: some were not heard of in time.
        """
        partitions = {TopicPartition(*partition) for partition in self._consumer.assignment()}
        ends = self._consumer.fetcher.ends
        deadline_s = time.monotonic() + timeout_ms / 1000
        while unheard := partitions - ends.keys():
            if time.monotonic() > deadline_s:
                raise TransientError(
                    f"no offsets of {len(unheard)} partitions in {timeout_ms} ms"
                ).of("kafka")
            self.poll(10)
        return {partition: ends[partition] for partition in partitions}

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


def _poll(consumer: Consumer, timeout_ms: int, connection: Connection) -> list[Record]:
    consumer.fetcher.spans.clear()
    with connection.errors("polling"):
        return list(chain.from_iterable(consumer.poll(timeout_ms).values()))
