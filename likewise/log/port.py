"""The log as likewise uses it, without any client library.

Two implementations pass the same contract suite: `likewise.log.kafka` (real brokers) and
`likewise.testing.MemoryBroker`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from likewise.log.topics import TopicSpec
    from likewise.records import Committed, Record, Span, TopicPartition


class Delivery(Protocol):
    """A record in flight to the broker."""

    def result(self, timeout_s: float) -> tuple[int, int]:
        """Block until the broker has the record; return its partition and offset.

        Raises:
            TransientError: not confirmed in time, or the broker failed; the record may be in the log.
            UndeliverableError: the broker refuses this record, now and later.
        """

    def add_done_callback(self, callback: Callable[[], None]) -> None:
        """Call back once, when the record is confirmed or has failed: `result` then does not wait.

        The call comes from another thread and must not block; it comes at once if that is known already.
        """


class Sink(Protocol):
    """Sends records. Thread-safe."""

    def send(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Sequence[tuple[str, bytes]] = (),
        partition: int | None = None,
    ) -> Delivery:
        """Queue one record and return at once; blocks only while the send buffer is full.

        Without a partition, equal keys go to the same partition, in the order sent.

        Raises:
            TransientError: the buffer stayed full, or the topic's partitions cannot be looked up.
            UndeliverableError: the record is too large, or there is no such topic or partition.
        """

    def flush(self, timeout_s: float) -> None:
        """Block until every record sent so far is confirmed or has failed.

        Raises:
            TransientError: some are still in flight.
        """

    def close(self) -> None:
        """Send what is queued, then disconnect; bounded by a few seconds."""


class Source(Protocol):
    """Reads records as a member of a consumer group. Not thread-safe.

    Returns records of transactions once they are committed, and no later records before them.
    Aborted records are left out. What cannot be decoded is returned as `Unreadable`.
    """

    def poll(self, timeout_ms: int) -> list[Record]:
        """Return the next records, each partition's in order; empty after `timeout_ms`.

        If the client library reconnects by itself, the result is empty during an outage, too.

        Raises:
            TransientError: the broker cannot be reached.
        """

    def spans(self) -> dict[TopicPartition, Span]:
        """Return the span that the last poll read of each partition, if it read any. No I/O.

        The poll's records are all that a span contains; there may be none. If a span does not start
        at the end of the last one, there was a seek, or records were deleted.
        """

    def assignment(self) -> set[TopicPartition]:
        """Return the partitions that are assigned to this member.

        Changes only in `poll` and `keep_alive`. After each rebalance the assigned partitions start
        at their committed offsets, kept ones too. With `seek_first` they wait for a seek.
        """

    def is_member(self) -> bool:
        """Whether the group has assigned its partitions with us as a member, perhaps without any.

        False before the first poll and during a rebalance. No I/O.
        """

    def rebalances(self) -> int:
        """Return how many rebalances we took part in; each undoes earlier seeks. No I/O."""

    def known_ends(self) -> dict[TopicPartition, int]:
        """Return where assigned partitions end, as far as the polls so far have learned. No I/O.

        If a transaction is open, that is where it begins.
        """

    def held_back(self) -> dict[TopicPartition, int]:
        """Return how many offsets follow the known ends because a transaction is open. No I/O.

        Partitions without an open transaction are left out.
        """

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Continue an assigned partition at this offset; ignores partitions of other members."""

    def seek_to_beginning(self, partition: TopicPartition) -> None:
        """Continue an assigned partition at its oldest record."""

    def commit(
        self,
        next_offsets: Mapping[TopicPartition, int],
        notes: Mapping[TopicPartition, str] | None = None,
    ) -> None:
        """Commit the group's offsets; ignores partitions that are another member's now.

        A note of up to 4,000 bytes of ASCII is kept with its offset until the next commit. Brokers
        may lose notes, so nothing may depend on one for correctness.

        Raises:
            TransientError: the broker cannot be reached.
        """

    def committed(self) -> dict[TopicPartition, Committed]:
        """Return what the group has committed of the assigned partitions; others are left out.

        Raises:
            TransientError: the broker cannot be reached.
        """

    def keep_alive(self) -> None:
        """Stay a member of the group while no records can be processed; loses none."""

    def rejoin(self) -> None:
        """Leave the group, and rejoin it as a new member over new connections with the next poll.

        No partitions are assigned until then.

        Raises:
            TransientError: the broker cannot be reached; the membership is unchanged.
        """

    def close(self) -> None:
        """Leave the group, so that other members get the partitions; bounded by a few seconds."""


class LogReader(Protocol):
    """Reads partitions outside any group, with the guarantees of `Source`. Not thread-safe."""

    def poll(self, timeout_ms: int) -> list[Record]:
        """Return the next records, each partition's in order; empty after `timeout_ms`."""

    def spans(self) -> dict[TopicPartition, Span]:
        """See `Source.spans`."""

    def close(self) -> None:
        """Disconnect."""


class Broker(Protocol):
    """A cluster: makes sources and sinks, and answers questions about topics."""

    def source(
        self, group: str, topics: Iterable[str], *, max_records: int, seek_first: bool = False
    ) -> Source:
        """Return a new member of the group; it starts at the commit, or else at the oldest record.

        With `seek_first` commits are ignored: after each rebalance, an assigned partition returns
        nothing until the caller has called `seek` for it.
        """

    def reader(self, start: Mapping[TopicPartition, int]) -> LogReader:
        """Return a reader of these partitions from these offsets."""

    def sink(self, *, linger_ms: int = 0) -> Sink:
        """Return a new sink; a longer `linger_ms` makes larger batches."""

    def ensure_topics(self, specs: Iterable[TopicSpec]) -> None:
        """Create the topics that are missing; existing topics stay as they are.

        Raises:
            TransientError: the broker cannot be reached.
            SettingsError: the broker does not permit it.
        """

    def partitions(self, topic: str) -> list[TopicPartition]:
        """Return the topic's partitions in order; empty if there is no such topic."""

    def topic_sizes(self) -> dict[str, int]:
        """Return the number of partitions of every topic that we may see."""

    def log_id(self, topic: str) -> str | None:
        """Return an id that a deleted topic of the same name did not have.

        None if there is no such topic, or the broker has no ids.
        """

    def topic_config(self, topic: str) -> Mapping[str, str]:
        """Return the topic's configuration with its defaults.

        Empty if there is no such topic, the broker does not support this, or we are not permitted.

        Raises:
            TransientError: the broker cannot be reached.
        """

    def epoch_ends(self, epochs: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """Return the offset up to which each log is unchanged since this leader epoch (KIP-320).

        Partitions that the broker does not know are left out; so are all, if it does not support this.
        """

    def beginning_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the offset of each partition's oldest record."""

    def end_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the offset that each partition's next record will get.

        While a transaction is open, that is the offset where it begins.
        """

    def least_ends(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return `end_offsets`, or a little less if the broker can answer that much faster.

        An offset lies after the first record of the last batch, so that no whole batch is missed.
        """

    def held_back(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return how many offsets of each partition wait for a transaction to end; usually 0."""

    def offsets_since(
        self, partitions: Iterable[TopicPartition], time_ms: int
    ) -> dict[TopicPartition, int]:
        """Return an offset of each partition before which every record is older than `time_ms`.

        May be less than the largest such offset, if the broker cannot look up timestamps.
        """

    def committed(
        self, group: str, partitions: Iterable[TopicPartition]
    ) -> dict[TopicPartition, int | None]:
        """Return the group's committed offsets; None for a partition without one."""

    def close(self) -> None:
        """Disconnect what answers questions; sources, readers and sinks stay open."""


def held_back(source: Source, topic: str) -> dict[str, int]:
    """Return `Source.held_back` by `partition_label`, with 0 for the others, for monitoring."""
    held = source.held_back()
    return {partition_label(at, topic): held.get(at, 0) for at in source.assignment()}


def partition_label(partition: TopicPartition, topic: str) -> str:
    """Return the number of a partition of `topic`, or `other/number` of another topic."""
    number = str(partition.partition)
    return number if partition.topic == topic else f"{partition.topic}/{number}"
