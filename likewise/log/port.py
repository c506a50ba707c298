"""The log as likewise sees it: records in, records out, no client library in sight.

Two implementations pass the same contract suite: `likewise.log.kafka` (real brokers) and
`likewise.testing.MemoryBroker`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from likewise.log.topics import TopicSpec
    from likewise.records import Committed, Record, Span, TopicPartition


class Delivery(Protocol):
    """A record on its way to the broker."""

    def result(self, timeout_s: float) -> tuple[int, int]:
        """Block until the broker has the record; return its partition and offset.

        Raises:
            TransientError: not confirmed in time, or the broker failed; it may be there or not.
            UndeliverableError: the broker refuses this record for good.
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
        """Queue one record and return at once (it blocks while the send buffer is full).

        Without a partition, equal keys go to the same partition, in the order sent.

        Raises:
            TransientError: the buffer stayed full, or the topic's partitions can't be learnt.
            UndeliverableError: the record is too large, or there is no such topic or partition.
        """

    def flush(self, timeout_s: float) -> None:
        """Block until every record sent so far was confirmed or has failed.

        Raises:
            TransientError: some are still on their way.
        """

    def close(self) -> None:
        """Send what is queued (bounded by a few seconds) and let go of the connections."""


class Source(Protocol):
    """Reads records as a member of a consumer group. Not thread-safe.

    Records of transactions come when their transaction was committed, and others not before those
    in front of them. Of aborted ones nothing comes. What can't be read comes as `Unreadable`.
    """

    def poll(self, timeout_ms: int) -> list[Record]:
        """Return the next records, each partition's in order; empty after `timeout_ms`.

        A client library may reconnect by itself: then it is empty during an outage, too.

        Raises:
            TransientError: the broker is out of reach.
        """

    def spans(self) -> dict[TopicPartition, Span]:
        """Return what the last poll read of each partition, if anything. No I/O.

        Its records are all that there is to read between the ends, perhaps none. A start that is
        not the end before was sought, or is where the log goes on after records were deleted.
        """

    def assignment(self) -> set[TopicPartition]:
        """Return the partitions that this member reads now.

        Changes only within `poll` and `keep_alive`. Each change starts what is assigned at the
        committed offset (a source that seeks first: nowhere, until it has sought), and a member
        may keep a partition through one.
        """

    def is_member(self) -> bool:
        """Whether the group has shared out its partitions with us in it, though perhaps none to us.

        False before the first poll, and while the group is joined anew. No I/O.
        """

    def rebalances(self) -> int:
        """Return how often partitions were shared out to us so far.

        Whatever was sought before may have been undone by the last time. No I/O.
        """

    def known_ends(self) -> dict[TopicPartition, int]:
        """Return where assigned partitions end, as far as the last poll heard of it. No I/O.

        That is where an open transaction begins, if there is one.
        """

    def held_back(self) -> dict[TopicPartition, int]:
        """Return how many offsets follow on the known ends, behind an open transaction. No I/O.

        Partitions without one are left out.
        """

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Go on reading an assigned partition from this offset; others are left alone."""

    def seek_to_beginning(self, partition: TopicPartition) -> None:
        """Go on reading an assigned partition from its oldest record."""

    def commit(
        self,
        next_offsets: Mapping[TopicPartition, int],
        notes: Mapping[TopicPartition, str] | None = None,
    ) -> None:
        """Record how far the group has come; partitions lost to another member are no error.

        A note of up to 4,000 bytes of ASCII stands beside its offset until the next commit. Brokers
        may lose it: it is for what is right without it, too.

        Raises:
            TransientError: the broker is out of reach.
        """

    def committed(self) -> dict[TopicPartition, Committed]:
        """Return what the group has committed of the assigned partitions, where it did.

        Raises:
            TransientError: the broker is out of reach.
        """

    def keep_alive(self) -> None:
        """Stay a member of the group while no records can be worked on; loses none."""

    def rejoin(self) -> None:
        """Leave the group and come back as a new member, over new connections, with the next poll.

        Nothing is assigned until then.

        Raises:
            TransientError: the broker is out of reach; we are the member that we were.
        """

    def close(self) -> None:
        """Leave the group, so that others take over at once; bounded by a few seconds."""


class LogReader(Protocol):
    """Reads whole partitions outside any group, as a `Source` does. Not thread-safe."""

    def poll(self, timeout_ms: int) -> list[Record]:
        """Return the next records, each partition's in order; empty after `timeout_ms`."""

    def spans(self) -> dict[TopicPartition, Span]:
        """See `Source.spans`."""

    def close(self) -> None:
        """Let go of the connections."""


class Broker(Protocol):
    """A cluster: makes sources and sinks, and answers questions about topics."""

    def source(
        self, group: str, topics: Iterable[str], *, max_records: int, seek_first: bool = False
    ) -> Source:
        """Return a new member of the group; it starts at the oldest record without a commit.

        With `seek_first` the commits don't count: an assigned partition gives nothing until
        `seek` says where to begin, and again after each rebalance.
        """

    def reader(self, start: Mapping[TopicPartition, int]) -> LogReader:
        """Return a reader of these partitions from these offsets."""

    def sink(self, *, linger_ms: int = 0) -> Sink:
        """Return a new sender; a longer `linger_ms` makes larger batches."""

    def ensure_topics(self, specs: Iterable[TopicSpec]) -> None:
        """Create the topics that are missing; existing ones are left as they are.

        Raises:
            TransientError: the broker is out of reach.
            SettingsError: the broker does not allow it.
        """

    def partitions(self, topic: str) -> list[TopicPartition]:
        """Return the topic's partitions in order; empty where there is no such topic."""

    def topic_sizes(self) -> dict[str, int]:
        """Return how many partitions each topic has, for every topic that we may see."""

    def log_id(self, topic: str) -> str | None:
        """Return what tells the topic from one of the same name that was deleted.

        None where there is no such topic, or the broker does not say.
        """

    def topic_config(self, topic: str) -> Mapping[str, str]:
        """Return what the topic is configured with, defaults included; empty where nobody says.

        That is where there is no such topic, the broker does not know, or we may not ask.

        Raises:
            TransientError: the broker is out of reach.
        """

    def epoch_ends(self, epochs: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """Return the offset before which each log is as it was under this leader epoch (KIP-320).

        Partitions of which the broker does not say are left out, and all where it can't be asked.
        """

    def beginning_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the offset of each partition's oldest record."""

    def end_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the offset that each partition's next record will get.

        While a transaction is open, it is the offset where that one begins.
        """

    def least_ends(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return `end_offsets`, or a little less, for a fraction of their cost.

        Never so little that a batch of records would be missed of which none was read.
        """

    def held_back(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return how many offsets of each partition wait for a transaction to end; mostly 0."""

    def offsets_since(
        self, partitions: Iterable[TopicPartition], time_ms: int
    ) -> dict[TopicPartition, int]:
        """Return an offset of each partition before which every record is older than that.

        It may be less than the largest such offset where the broker does not look up timestamps.
        """

    def committed(
        self, group: str, partitions: Iterable[TopicPartition]
    ) -> dict[TopicPartition, int | None]:
        """Return how far the group has committed; None where it never did."""

    def close(self) -> None:
        """Let go of the connections that questions were asked over."""


def held_back(source: Source) -> dict[str, int]:
    """Return `Source.held_back` by the number of each assigned partition, for monitoring."""
    held = source.held_back()
    return {str(at.partition): held.get(at, 0) for at in source.assignment()}
