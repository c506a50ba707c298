"""Users with events in several partitions: finds their marks, marks new ones, reads their history.

A mark takes effect only with the events that were applied before it, without times. They are read
from the log again; until then the user is incomplete, and no batch with that user is applied.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from consumers.history import floors_ahead, read_histories
from likewise.messages.ids import SignalKind, UserId
from likewise.service.logs import get_logger
from likewise.store.port import History

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from consumers.homes import Marks
    from consumers.stats import ConsumerStats
    from likewise.log.port import Broker
    from likewise.records import TopicPartition
    from likewise.settings import Partitioner
    from likewise.store.port import Advance, Homes, LikeStore

_MOST_UNMARKED = 100_000
_WARN_EVERY_S = 60.0
LONG_HISTORY = 100_000
"""Records. Before so much is read for some users, the backlog is searched for all others, so that
one read serves them all."""


class Scattering:
    """Knows and marks the scattered users. Holds only caches of what is in the store."""

    def __init__(
        self,
        broker: Broker,
        store: LikeStore,
        topic: str,
        partitioner: Partitioner,
        stats: ConsumerStats,
        kinds: frozenset[str] = frozenset(),
        while_reading: Callable[[], None] = lambda: None,
    ) -> None:
        """Read nothing yet; `kinds` are those of signals that count.

        `while_reading` is called now and then while the log is read again.
        """
        self._broker = broker
        self._store = store
        self._topic = topic
        self._partitioner = partitioner
        self._stats = stats
        self._kinds = frozenset(map(SignalKind, kinds))
        self._while_reading = while_reading
        self._homes: Homes | None = None
        # Users who are not marked as long as the mark of the homes stays the same.
        self._unmarked: set[UserId] = set()
        # The ends up to which our partitions were searched for scattered users.
        self._searched: dict[TopicPartition, int] = {}
        self._next_warning_s = 0.0

    def homes(self) -> Homes:
        """Return the homes, read from the store after `invalidate`."""
        if self._homes is None:
            partitions = len(self._broker.partitions(self._topic)) or 1
            self._homes = self._store.homes(self._partitioner, partitions)
        return self._homes

    def invalidate(self) -> None:
        """Drop the caches: the store has moved on."""
        self._homes = None
        self._unmarked.clear()

    def kinds(self) -> frozenset[SignalKind]:
        """Return every kind of signals that a user may have: those that count, and those in the store."""
        return self._kinds | self._store.kinds()

    def marks(
        self,
        users: Sequence[Collection[UserId]],
        partitions: Sequence[int],
        away: Sequence[Collection[UserId]],
    ) -> Marks:
        """Return the marks of users, by partition of the batch; those away from home may have None.

        All other users are not marked, and are left out.
        """
        if self.homes().mark:
            doubtful = set[UserId]().union(*users).difference(self._unmarked).union(*away)
        else:  # nobody is marked: only users who may have to be marked matter
            doubtful = set[UserId]().union(*away)
        if not doubtful:
            return {}
        listed = list(doubtful)
        known = dict(zip(listed, self._store.scattered(listed, partitions), strict=True))
        unmarked = {user for user, mark in known.items() if mark is None}
        if self.homes().mark:
            if len(self._unmarked) > _MOST_UNMARKED:
                self._unmarked.clear()
            self._unmarked |= unmarked
        at_home = unmarked.difference(*away)
        return {user: mark for user, mark in known.items() if user not in at_home}

    def with_accounts(self, marks: Marks, partitions: Sequence[int]) -> Marks:
        """Return the marks, with those of the accounts that marked guests were merged into."""
        complete = dict(marks)
        while (
            missing := {known.merged.into for known in complete.values() if known and known.merged}
            - complete.keys()
        ):
            listed = list(missing)
            complete |= zip(listed, self._store.scattered(listed, partitions), strict=True)
        return complete

    def mark(
        self,
        floors_ms: dict[UserId, int],
        marks: Marks,
        advances: Mapping[TopicPartition, Advance],
    ) -> None:
        """Mark users as scattered from these times on; see `LikeStore.scatter`.

        Before a long history is read, the backlog is searched for more of them, who are marked too.
        """
        self._warn([user for user in floors_ms if marks[user] is None])
        start = self._broker.offsets_since(self._topic_partitions(), min(floors_ms.values()))
        applied = self._applied(start)
        length = sum(max(applied[one] - first, 0) for one, first in start.items())
        if length > LONG_HISTORY:
            for user, floor_ms in self._search_backlog(advances).items():
                floors_ms[user] = min(floor_ms, floors_ms.get(user, floor_ms))
        self._homes = self._store.scatter(floors_ms, self.homes())
        self._unmarked.clear()

    def catch_up(self, users: set[UserId]) -> None:
        """Complete the users with their events that were applied before; see `LikeStore.catch_up`."""
        listed = list(users)
        floors_ms = {
            user: known.floor_ms
            for user, known in zip(listed, self._store.scattered(listed, []), strict=True)
            if known and not known.complete
        }
        if not floors_ms:
            return
        start = self._broker.offsets_since(self._topic_partitions(), min(floors_ms.values()))
        states = read_histories(
            self._broker,
            start,
            self._applied(start),
            floors_ms.keys(),
            self._kinds,
            self._while_reading,
        )
        kinds = self.kinds() if any(state.forget for state in states.values()) else frozenset()
        self._store.catch_up(
            {user: History(floor_ms, states[user], kinds) for user, floor_ms in floors_ms.items()}
        )

    def _search_backlog(self, advances: Mapping[TopicPartition, Advance]) -> dict[UserId, int]:
        start = {
            one: max(step.next, self._searched.get(one, 0))
            for one, step in advances.items()
            if one.topic == self._topic
        }
        ends = self._broker.end_offsets(start)
        start = {one: at for one, at in start.items() if at < ends[one]}
        floors_ms = floors_ahead(
            self._broker, start, ends, self.homes(), self._kinds, self._while_reading
        )
        self._searched |= ends
        return floors_ms

    def _applied(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return how far any part of the store has applied each partition, or its end if that is before."""
        listed = list(partitions)
        extents = zip(listed, self._store.extents(listed), strict=True)
        applied = {one: extent.furthest or 0 for one, extent in extents}
        ends = self._broker.least_ends(listed)
        # A log that was recreated or has lost its tail ends before the applied position.
        if doubtful := [one for one, at in applied.items() if at > ends[one]]:
            ends = self._broker.end_offsets(doubtful)
            applied |= {one: min(applied[one], ends[one]) for one in doubtful}
        return applied

    def _topic_partitions(self) -> list[TopicPartition]:
        return self._broker.partitions(self._topic)

    def _warn(self, found: Sequence[UserId]) -> None:
        self._stats.scattered_users += len(found)
        if found and time.monotonic() >= self._next_warning_s:
            self._next_warning_s = time.monotonic() + _WARN_EVERY_S
            get_logger().warning(
                "users have events in several partitions; merging them by timestamp takes memory "
                "in Redis. Clients should key events by the user id and use the partitioner in "
                "kafka.partitioner: see docs/protocol.md",
                users=len(found),
                partitioner=self._partitioner,
            )
