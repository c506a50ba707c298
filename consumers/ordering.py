"""Batches become changes that do not depend on which partition is read first.

A user's events are expected in one partition, the home. Where some lie elsewhere the user is marked
as scattered, and its events get times, so that those of all partitions can be merged
(`likewise.messages.order`). Everybody else is folded without. See docs/decisions/0017.
"""

from __future__ import annotations

import time
from collections import defaultdict
from typing import TYPE_CHECKING

from consumers.fold import fold
from consumers.history import floors_ahead, read_histories
from consumers.homes import away_from_home
from likewise.errors import HomesMovedError, PositionMovedError, TransientError, UndeliverableError
from likewise.messages.events import RestoreItem, RetireItem
from likewise.messages.order import UserState, moment_ms
from likewise.service.logs import get_logger
from likewise.store.port import Changes, History

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from consumers.batches import Part
    from consumers.stats import ConsumerStats
    from likewise.log.port import Broker
    from likewise.messages.ids import UserId
    from likewise.records import TopicPartition
    from likewise.settings import Partitioner
    from likewise.store.port import Advance, Homes, LikeStore, Scattered

    Marked = Mapping[UserId, Scattered | None]

_KNOWN_AT_HOME = 100_000
_WARN_EVERY_S = 60.0
LONG_HISTORY = 100_000
"""So many records are not read for every user who is found: the backlog is searched for all first."""


class Ordering:
    """Applies batches to the store in the order that docs/protocol.md promises.

    Holds nothing that is not in the store, apart from what it remembers to ask less often.
    """

    def __init__(
        self,
        broker: Broker,
        store: LikeStore,
        topic: str,
        partitioner: Partitioner,
        stats: ConsumerStats,
        *,
        while_reading: Callable[[], None] = lambda: None,
    ) -> None:
        """`while_reading` is called now and then while a stretch of the log is read."""
        self._broker = broker
        self._store = store
        self._topic = topic
        self._partitioner = partitioner
        self._stats = stats
        self._while_reading = while_reading
        self._homes: Homes | None = None
        # Users who are not marked, as long as the mark of the homes is the same.
        self._unmarked: set[UserId] = set()
        # Up to where the own partitions were searched for scattered users.
        self._searched: dict[TopicPartition, int] = {}
        self._next_warning_s = 0.0

    def apply(self, parts: Sequence[Part], advances: Mapping[TopicPartition, Advance]) -> None:
        """Apply a batch; see `LikeStore.apply`.

        Raises:
            PositionMovedError: see there.
            TransientError: a server is out of reach.
        """
        while True:
            try:
                self._store.apply(self._changes(parts, advances), advances)
            except HomesMovedError:
                self._forget_homes()
            except PositionMovedError:
                self._forget_homes()
                raise
            except UndeliverableError as gone:  # the topic was deleted a moment ago
                raise TransientError(str(gone)).of("kafka") from gone
            else:
                return

    def _forget_homes(self) -> None:
        self._homes = None
        self._unmarked.clear()

    def _changes(
        self, parts: Sequence[Part], advances: Mapping[TopicPartition, Advance]
    ) -> Changes:
        """Return what the batch comes to, with every user marked and caught up whom it needs."""
        folded = [fold(part.events) for part in parts]
        while True:
            homes = self._homes or self._learn_homes()
            away = [
                away_from_home(changes.users, part.partition, homes)
                for part, changes in zip(parts, folded, strict=True)
            ]
            marked = self._marked(parts, folded, away, homes)
            floors_ms = _floors_ms(parts, away, marked)
            incomplete = [user for user, known in marked.items() if known and not known.complete]
            if not floors_ms and not incomplete:
                return self._put_together(parts, folded, marked, homes)
            if floors_ms:
                self._scatter(floors_ms, marked, advances, homes)
            self._catch_up(floors_ms.keys() | set(incomplete))

    def _learn_homes(self) -> Homes:
        self._homes = self._store.homes(
            self._partitioner, len(self._broker.partitions(self._topic)) or 1
        )
        return self._homes

    def _marked(
        self,
        parts: Sequence[Part],
        folded: Sequence[Changes],
        away: Sequence[Sequence[UserId]],
        homes: Homes,
    ) -> Marked:
        """Return what is known of those users of the batch who may be scattered."""
        if homes.mark:
            doubtful = {
                user for changes in folded for user in changes.users.keys() - self._unmarked
            }
            doubtful.update(*away)
        else:  # nobody is marked: it is enough to ask about those who may have to be
            doubtful = {user for users in away for user in users}
        if not doubtful:
            return {}
        listed = list(doubtful)
        numbers = [part.partition for part in parts]
        known = dict(zip(listed, self._store.scattered(listed, numbers), strict=True))
        strangers = {user for user, mark in known.items() if mark is None}
        if homes.mark:
            if len(self._unmarked) > _KNOWN_AT_HOME:
                self._unmarked.clear()
            self._unmarked |= strangers
        at_home = strangers.difference(*away)
        return {user: mark for user, mark in known.items() if user not in at_home}

    def _scatter(
        self,
        floors_ms: dict[UserId, int],
        marked: Marked,
        advances: Mapping[TopicPartition, Advance],
        homes: Homes,
    ) -> None:
        found = [user for user in floors_ms if marked[user] is None]
        self._warn_of(found)
        start = self._broker.offsets_since(self._partitions(), min(floors_ms.values()))
        applied = self._applied(start)
        length = sum(max(applied[one] - first, 0) for one, first in start.items())
        if length > LONG_HISTORY:
            for user, floor_ms in self._search_ahead(advances, homes).items():
                floors_ms[user] = min(floor_ms, floors_ms.get(user, floor_ms))
        self._homes = self._store.scatter(floors_ms, homes)
        self._unmarked.clear()

    def _search_ahead(
        self, advances: Mapping[TopicPartition, Advance], homes: Homes
    ) -> dict[UserId, int]:
        start = {one: max(step.next, self._searched.get(one, 0)) for one, step in advances.items()}
        ends = self._broker.end_offsets(start)
        start = {one: at for one, at in start.items() if at < ends[one]}
        floors_ms = floors_ahead(self._broker, start, ends, homes, self._while_reading)
        self._searched |= ends
        return floors_ms

    def _catch_up(self, users: set[UserId]) -> None:
        listed = list(users)
        floors_ms = {
            user: known.floor_ms
            for user, known in zip(listed, self._store.scattered(listed, []), strict=True)
            if known and not known.complete
        }
        if not floors_ms:
            return
        start = self._broker.offsets_since(self._partitions(), min(floors_ms.values()))
        states = read_histories(
            self._broker, start, self._applied(start), floors_ms.keys(), self._while_reading
        )
        self._store.catch_up(
            {user: History(floor_ms, states[user]) for user, floor_ms in floors_ms.items()}
        )

    def _applied(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return up to where each partition is applied, and no further than it goes."""
        listed = list(partitions)
        applied = dict(zip(listed, (at or 0 for at in self._store.positions(listed)), strict=True))
        ends = self._broker.least_ends(listed)
        # A log that was deleted and made again, or has lost its tail, ends before that.
        if doubtful := [one for one, at in applied.items() if at > ends[one]]:
            ends = self._broker.end_offsets(doubtful)
            applied |= {one: min(applied[one], ends[one]) for one in doubtful}
        return applied

    def _put_together(
        self, parts: Sequence[Part], folded: Sequence[Changes], marked: Marked, homes: Homes
    ) -> Changes:
        users = folded[0].users.copy() if folded else {}
        for changes in folded[1:]:  # each user who is not marked is in one of them
            users |= changes.users
        for user in marked:
            users.pop(user, None)
        together = Changes(users=users, homes=homes)
        if marked:
            together.scattered = _states_of_users(parts, marked)
        if any(changes.retire or changes.restore for changes in folded):
            together.catalogue = self._state_of_catalogue(parts)
        return together

    def _state_of_catalogue(self, parts: Sequence[Part]) -> UserState:
        known = self._store.catalogue_reach([part.partition for part in parts])
        state = UserState()
        for part in parts:
            for event, record in zip(part.events, part.records, strict=True):
                if isinstance(event, RetireItem | RestoreItem):
                    state.add(event, record, known)
        return state

    def _partitions(self) -> list[TopicPartition]:
        return self._broker.partitions(self._topic)

    def _warn_of(self, found: Sequence[UserId]) -> None:
        self._stats.scattered_users += len(found)
        if found and time.monotonic() >= self._next_warning_s:
            self._next_warning_s = time.monotonic() + _WARN_EVERY_S
            get_logger().warning(
                "users have events on several partitions, which are merged by timestamp; that costs "
                "memory in Redis. Clients should key events by the user id, and use the partitioner "
                "in kafka.partitioner: see docs/protocol.md",
                users=len(found),
                partitioner=self._partitioner,
            )


def _floors_ms(
    parts: Sequence[Part], away: Sequence[Sequence[UserId]], marked: Marked
) -> dict[UserId, int]:
    """Return since when users have to be marked whose events lie before what is known of them."""
    floors_ms: dict[UserId, int] = {}
    for part, users in zip(parts, away, strict=True):
        for user, since_ms in _first_ms(part, users, marked).items():
            known = marked[user]
            if known and known.complete and known.floor_ms <= since_ms:
                continue
            least = [since_ms, floors_ms.get(user, since_ms)]
            floors_ms[user] = min([*least, known.floor_ms] if known else least)
    return floors_ms


def _first_ms(part: Part, users: Sequence[UserId], marked: Marked) -> dict[UserId, int]:
    """Return the time of the first event of each of the users in the part."""
    left = set(users)
    found: dict[UserId, int] = {}
    if not left:
        return found
    for event, record in zip(part.events, part.records, strict=True):
        user = None if isinstance(event, RetireItem | RestoreItem) else event.user_id
        if user in left:
            left.discard(user)
            known = marked[user]
            found[user] = moment_ms(record, known.reach.get(part.partition) if known else None)
            if not left:
                break
    return found


def _states_of_users(parts: Sequence[Part], marked: Marked) -> dict[UserId, UserState]:
    states: defaultdict[UserId, UserState] = defaultdict(UserState)
    for part in parts:
        for event, record in zip(part.events, part.records, strict=True):
            if isinstance(event, RetireItem | RestoreItem):
                continue
            known = marked.get(event.user_id)
            if known is not None:
                states[event.user_id].add(event, record, known.reach)
    return dict(states)
