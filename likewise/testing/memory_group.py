"""A consumer group in memory, with the rebalances that real groups surprise their members with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likewise.records import Committed
from likewise.testing.memory_log import Cursor

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from likewise.records import Record, Span, TopicPartition
    from likewise.testing.memory_broker import MemoryBroker


class MemoryGroup:
    """Who reads what: an eager rebalance, in which nobody reads until every member has polled.

    Not locked: the broker's lock is held around every call.
    """

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker
        self.committed: dict[TopicPartition, int] = {}
        self.notes: dict[TopicPartition, str] = {}
        self.generation = 0
        self._members: list[MemorySource] = []
        self._arrived: list[MemorySource] = []
        self._shares: dict[MemorySource, list[TopicPartition]] = {}
        self._settled = True

    def unsettle(self) -> None:
        """Ask every member to join again: who is there, or what there is to read, has changed."""
        self._settled = False
        self._arrived.clear()
        self._broker.changed.notify_all()

    def arrive(self, member: MemorySource) -> list[TopicPartition] | None:
        """Return the member's share, or None while others have still to join."""
        if member not in self._members:
            self._members.append(member)
            self.unsettle()
        if not self._settled:
            if member not in self._arrived:
                self._arrived.append(member)
            if len(self._arrived) == len(self._members):
                self._settle()
        return self._shares[member] if self._settled else None

    def has(self, member: MemorySource) -> bool:
        """Whether the group has settled with this member in it, who knows of that."""
        return self._settled and member in self._members and member.generation == self.generation

    def leave(self, member: MemorySource) -> None:
        """Give the member's share to the others, when they have polled."""
        if member in self._members:
            self._members.remove(member)
            self.unsettle()

    def misplace(self, partition: TopicPartition) -> None:
        """Take a partition from whoever has it, and give it to nobody until somebody joins anew."""
        for share in self._shares.values():
            if partition in share:
                share.remove(partition)
        self.generation += 1
        self._broker.changed.notify_all()

    def commit(
        self,
        member: MemorySource,
        next_offsets: Mapping[TopicPartition, int],
        notes: Mapping[TopicPartition, str],
    ) -> None:
        """Record the offsets and what is noted beside them, unless the member's generation is over."""
        if member in self._members and member.generation == self.generation:
            self.committed.update(next_offsets)
            self.notes.update({at: notes.get(at, "") for at in next_offsets})

    def _settle(self) -> None:
        self._settled = True
        self.generation += 1
        self._shares = {member: [] for member in self._members}
        for topic in sorted({topic for member in self._members for topic in member.topics}):
            readers = [member for member in self._members if topic in member.topics]
            for number, partition in enumerate(self._broker.partitions_of(topic)):
                self._shares[readers[number % len(readers)]].append(partition)
        self._broker.changed.notify_all()


class MemorySource:
    """A `likewise.log.port.Source`: one member of a group; it joins with its first poll."""

    def __init__(
        self,
        broker: MemoryBroker,
        group: MemoryGroup,
        topics: Iterable[str],
        max_records: int,
        *,
        seek_first: bool = False,
    ) -> None:
        self._broker = broker
        self._group = group
        self._max_records = max_records
        self._seek_first = seek_first
        self._cursor = Cursor(broker.logs)
        self.topics = frozenset(topics)
        self.generation = 0
        self._rebalances = 0

    def poll(self, timeout_ms: int) -> list[Record]:
        """See `Source.poll`."""
        with self._broker.answering("poll"):
            return self._broker.wait_for(self._next_records, timeout_ms)

    def spans(self) -> dict[TopicPartition, Span]:
        """See `Source.spans`."""
        return dict(self._cursor.spans)

    def assignment(self) -> set[TopicPartition]:
        """See `Source.assignment`."""
        return set(self._cursor.offsets)

    def is_member(self) -> bool:
        """See `Source.is_member`."""
        with self._broker.changed:
            return self._group.has(self)

    def rebalances(self) -> int:
        """See `Source.rebalances`."""
        return self._rebalances

    def known_ends(self) -> dict[TopicPartition, int]:
        """See `Source.known_ends`."""
        return {partition: self._broker.logs[partition].end for partition in self._cursor.offsets}

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
            self._cursor.offsets[partition] = self._broker.logs[partition].first
            self._cursor.held.discard(partition)

    def commit(
        self,
        next_offsets: Mapping[TopicPartition, int],
        notes: Mapping[TopicPartition, str] | None = None,
    ) -> None:
        """See `Source.commit`."""
        with self._broker.answering("commit"):
            own = {tp: offset for tp, offset in next_offsets.items() if tp in self._cursor.offsets}
            self._group.commit(self, own, notes or {})

    def committed(self) -> dict[TopicPartition, Committed]:
        """See `Source.committed`."""
        with self._broker.answering("ask"):
            return {
                partition: Committed(
                    self._group.committed[partition], self._group.notes.get(partition, "")
                )
                for partition in self._cursor.offsets
                if partition in self._group.committed
            }

    def keep_alive(self) -> None:
        """See `Source.keep_alive`; as with `poll`, the assignment may change."""
        with self._broker.changed:
            self._join()

    def rejoin(self) -> None:
        """See `Source.rejoin`."""
        with self._broker.answering("ask"):
            self._group.leave(self)
            self._cursor.offsets.clear()

    def close(self) -> None:
        """See `Source.close`."""
        with self._broker.changed:
            self._group.leave(self)
            self._cursor.offsets.clear()

    def expire(self) -> None:
        """Lose the membership as a silent member does; it doesn't know until it polls again."""
        with self._broker.changed:
            self._group.leave(self)

    def _next_records(self) -> list[Record]:
        self._cursor.spans = {}
        return self._cursor.take(self._max_records) if self._join() else []

    def _join(self) -> bool:
        share = self._group.arrive(self)
        if share is None:
            self._cursor.offsets.clear()
            return False
        if self.generation != self._group.generation:
            self.generation = self._group.generation
            self._rebalances += 1
            self._cursor.offsets = {
                partition: self._group.committed.get(partition, self._broker.logs[partition].first)
                for partition in share
            }
            self._cursor.held = set(share) if self._seek_first else set()
        return True
