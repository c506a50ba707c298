"""A consumer group in memory, with the rebalances of a real one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likewise.records import Committed
from likewise.testing.memory_log import Cursor

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from likewise.records import Record, Span, TopicPartition
    from likewise.testing.memory_cluster import MemoryCluster


class MemoryGroup:
    """Assigns partitions by eager rebalances: nobody reads until every member has polled.

    Callers hold the cluster's lock.
    """

    def __init__(self, cluster: MemoryCluster) -> None:
        self._cluster = cluster
        self.committed: dict[TopicPartition, int] = {}
        self.notes: dict[TopicPartition, str] = {}
        self.generation = 0
        self._members: list[MemorySource] = []
        self._arrived: list[MemorySource] = []
        self._assigned: dict[MemorySource, list[TopicPartition]] = {}
        self._settled = True

    def rebalance(self) -> None:
        """Ask every member to join again, because members or partitions have changed."""
        self._settled = False
        self._arrived.clear()
        self._cluster.changed.notify_all()

    def join(self, member: MemorySource) -> list[TopicPartition] | None:
        """Return the member's partitions, or None until every member has joined."""
        if member not in self._members:
            self._members.append(member)
            self.rebalance()
        if not self._settled:
            if member not in self._arrived:
                self._arrived.append(member)
            if len(self._arrived) == len(self._members):
                self._settle()
        return self._assigned[member] if self._settled else None

    def has(self, member: MemorySource) -> bool:
        """Whether the group has settled with this member in it, and the member knows."""
        return self._settled and member in self._members and member.generation == self.generation

    def leave(self, member: MemorySource) -> None:
        """Remove the member; the others get its partitions when all of them have polled."""
        if member in self._members:
            self._members.remove(member)
            self.rebalance()

    def unassign(self, partition: TopicPartition) -> None:
        """Take a partition from its member; nobody gets it until the next rebalance."""
        for partitions in self._assigned.values():
            if partition in partitions:
                partitions.remove(partition)
        self.generation += 1
        self._cluster.changed.notify_all()

    def commit(
        self,
        member: MemorySource,
        next_offsets: Mapping[TopicPartition, int],
        notes: Mapping[TopicPartition, str],
    ) -> None:
        """Record the offsets and their notes, unless the member's generation is over."""
        if member in self._members and member.generation == self.generation:
            self.committed.update(next_offsets)
            self.notes.update({at: notes.get(at, "") for at in next_offsets})

    def _settle(self) -> None:
        self._settled = True
        self.generation += 1
        self._assigned = {member: [] for member in self._members}
        for topic in sorted({topic for member in self._members for topic in member.topics}):
            readers = [member for member in self._members if topic in member.topics]
            for number, partition in enumerate(self._cluster.partitions_of(topic)):
                self._assigned[readers[number % len(readers)]].append(partition)
        self._cluster.changed.notify_all()


class MemorySource:
    """A `likewise.log.port.Source`: one member of a group; it joins with its first poll."""

    def __init__(
        self,
        cluster: MemoryCluster,
        group: MemoryGroup,
        topics: Iterable[str],
        max_records: int,
        *,
        seek_first: bool = False,
    ) -> None:
        self._cluster = cluster
        self._group = group
        self._max_records = max_records
        self._seek_first = seek_first
        self._cursor = Cursor(cluster.logs)
        self.topics = frozenset(topics)
        self.generation = 0
        self._rebalances = 0

    def poll(self, timeout_ms: int) -> list[Record]:
        """See `Source.poll`."""
        with self._cluster.answering("poll"):
            return self._cluster.wait_for(self._next_records, timeout_ms)

    def spans(self) -> dict[TopicPartition, Span]:
        """See `Source.spans`."""
        return dict(self._cursor.spans)

    def assignment(self) -> set[TopicPartition]:
        """See `Source.assignment`."""
        return set(self._cursor.offsets)

    def is_member(self) -> bool:
        """See `Source.is_member`."""
        with self._cluster.changed:
            return self._group.has(self)

    def rebalances(self) -> int:
        """See `Source.rebalances`."""
        return self._rebalances

    def known_ends(self) -> dict[TopicPartition, int]:
        """See `Source.known_ends`."""
        return {partition: self._cluster.logs[partition].end for partition in self._cursor.offsets}

    def held_back(self) -> dict[TopicPartition, int]:
        """See `Source.held_back`; there are no transactions here."""
        return {}

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """See `Source.seek`."""
        if partition in self._cursor.offsets:
            self._cursor.offsets[partition] = offset
            self._cursor.held.discard(partition)

    def seek_to_beginning(self, partition: TopicPartition) -> None:
        """See `Source.seek_to_beginning`."""
        if partition in self._cursor.offsets:
            self._cursor.offsets[partition] = self._cluster.logs[partition].first
            self._cursor.held.discard(partition)

    def commit(
        self,
        next_offsets: Mapping[TopicPartition, int],
        notes: Mapping[TopicPartition, str] | None = None,
    ) -> None:
        """See `Source.commit`."""
        with self._cluster.answering("commit"):
            own = {tp: offset for tp, offset in next_offsets.items() if tp in self._cursor.offsets}
            self._group.commit(self, own, notes or {})

    def committed(self) -> dict[TopicPartition, Committed]:
        """See `Source.committed`."""
        with self._cluster.answering("ask"):
            return {
                partition: Committed(
                    self._group.committed[partition], self._group.notes.get(partition, "")
                )
                for partition in self._cursor.offsets
                if partition in self._group.committed
            }

    def keep_alive(self) -> None:
        """See `Source.keep_alive`; as with `poll`, the assignment may change."""
        with self._cluster.changed:
            self._join()

    def rejoin(self) -> None:
        """See `Source.rejoin`."""
        with self._cluster.answering("ask"):
            self._group.leave(self)
            self._cursor.offsets.clear()

    def close(self) -> None:
        """See `Source.close`."""
        with self._cluster.changed:
            self._group.leave(self)
            self._cursor.offsets.clear()

    def expire(self) -> None:
        """Lose the membership as a member without heartbeats does; it notices with its next poll."""
        with self._cluster.changed:
            self._group.leave(self)

    def _next_records(self) -> list[Record]:
        self._cursor.spans = {}
        return self._cursor.take(self._max_records) if self._join() else []

    def _join(self) -> bool:
        assigned = self._group.join(self)
        if assigned is None:
            self._cursor.offsets.clear()
            return False
        if self.generation != self._group.generation:
            self.generation = self._group.generation
            self._rebalances += 1
            self._cursor.offsets = {
                partition: self._group.committed.get(partition, self._cluster.logs[partition].first)
                for partition in assigned
            }
            self._cursor.held = set(assigned) if self._seek_first else set()
        return True
