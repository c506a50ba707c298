"""Verification: compares the store with the log at the store's own positions.

The store has the position of each partition up to which events are applied. The log is replayed to
those positions, and the sets must be equal. Consumers may apply more events meanwhile, so users with
new events are compared again: a reported difference is real.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import TYPE_CHECKING

from likewise.errors import InvalidInputError
from likewise.log.ranges import read_between
from likewise.messages.event_decoding import decode_event
from likewise.messages.events import RestoreItem, RetireItem, Signal, Unsignal, users_of
from likewise.messages.ids import SignalKind
from likewise.operations.expected_state import Difference, ExpectedState
from likewise.operations.things import liked, repairing, things
from likewise.operations.uneven import shared_is_ahead, users_ahead
from likewise.records import TopicPartition
from likewise.settings.signals import SignalSettings
from likewise.store.port import Advance, Changes, History

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from likewise.log.port import Broker
    from likewise.messages.events import Event
    from likewise.messages.ids import UserId
    from likewise.records import Record
    from likewise.settings import Partitioner
    from likewise.store.bucket_port import Ahead
    from likewise.store.port import LikeStore

    OnProgress = Callable[[int, int], None]

_CHUNK = 1_000  # users read or written at once
_ROUNDS = 20


def _ignore(_done: int, _total: int) -> None: ...


@dataclass(slots=True)
class Verification:
    """The result. `lag` is the number of events in the log after the store's positions.

    `beyond_log` has the partitions whose stored position is after the end of the log: the topic was
    recreated, or has lost its last events. `unsettled` users kept changing during the comparison.
    """

    events: int = 0
    invalid: int = 0
    users: int = 0
    lag: int = 0
    beginnings: dict[TopicPartition, int] = field(default_factory=dict)
    beyond_log: dict[TopicPartition, int] = field(default_factory=dict)
    differences: dict[UserId, Difference] = field(default_factory=dict)
    retired: Difference = field(default_factory=Difference)
    scattered: int = 0
    unsettled: set[UserId] = field(default_factory=set)

    @property
    def whole(self) -> bool:
        """Whether the log still has its first event."""
        return not self.beginnings

    @property
    def wrong_users(self) -> list[UserId]:
        """Users whose stored likes or signals are proven wrong, in order."""
        return sorted(user for user, found in self.differences.items() if found.proven)

    @property
    def unproven_users(self) -> int:
        """The number of users with likes or signals that the log can neither prove nor refute."""
        return sum(bool(each.unproven) for each in self.differences.values())

    @property
    def proven(self) -> bool:
        """Whether the store is proven right: equal to a log that still has its first event."""
        return self.equal and self.whole and not self.unproven_users

    @property
    def equal(self) -> bool:
        """Whether nothing is proven wrong and everything could be compared."""
        wrong = self.wrong_users or self.retired.proven or self.beyond_log or self.unsettled
        return not wrong


class Verifier:
    """Compares a store with a log, and repairs what is proven wrong in the store."""

    def __init__(
        self,
        broker: Broker,
        store: LikeStore,
        topic: str,
        partitioner: Partitioner = "murmur2",
        kinds: Collection[str] = SignalSettings().accepted,
    ) -> None:
        """Ask the broker where the log starts; `kinds` of signals count, and those in the store."""
        self._partitioner = partitioner
        self._broker = broker
        self._store = store
        self._kinds = frozenset(map(SignalKind, kinds)) | store.kinds()
        self._partitions = broker.partitions(topic)
        self._at = broker.beginning_offsets(self._partitions)
        self._stored: dict[TopicPartition, int | None] = {}
        self._ahead: Ahead | None = None
        self.result = Verification(
            beginnings={partition: at for partition, at in self._at.items() if at}
        )
        self._beginnings = dict(self._at)
        self._unread_cuts = set(self.result.beginnings)
        self._expected = ExpectedState(whole=self.result.whole)

    def run(self, on_progress: OnProgress, on_compared: OnProgress = _ignore) -> Verification:
        """Return how the store differs from the log.

        Calls `on_progress` with the events read and their total, then `on_compared` with the users compared and
        theirs. Takes memory for each like of the log, and for each user.

        Raises:
            TransientError: a server can't be reached, or the log can't be read to the end.
        """
        self._advance(on_progress)
        unexpected = self._unexpected_users()
        suspects: Iterable[UserId] = chain(self._expected.users(), unexpected)
        self.result.users = sum(1 for _ in self._expected.users()) + len(unexpected)
        for _ in range(_ROUNDS):
            found = self._differences(suspects, on_compared)
            on_compared = _ignore
            retired = self._expected.retired_difference(self._store.retired()[1])
            users_touched, items_touched = self._advance()
            users_touched |= users_ahead(self._ahead, found, self._at)
            items_touched |= any(retired) and shared_is_ahead(self._ahead, self._at)
            self.result.differences |= {user: found[user] for user in found.keys() - users_touched}
            suspects = found.keys() & users_touched
            if not items_touched:
                self.result.retired = retired
            if not suspects and not items_touched:
                break
        self.result.unsettled = set(suspects)
        self.result.scattered = len(self._expected.merged)
        return self.result

    def repair(self) -> int:
        """Correct what is proven wrong in the store; return the number of users corrected.

        Changes only items that the log proves. Each write compares the positions atomically, so that
        it fails if a consumer has applied events meanwhile, instead of undoing them.

        Raises:
            PositionMovedError: a consumer has applied events since; nothing more was written.
        """
        here = {
            partition: Advance(stored, self._at[partition] if stored is None else stored)
            for partition, stored in self._stored.items()
        }
        wrong = self.result.wrong_users
        self._mark([user for user in wrong if user in self._expected.merged])
        for start in range(0, len(wrong), _CHUNK):
            users = {
                user: repairing(self.result.differences[user])
                for user in wrong[start : start + _CHUNK]
            }
            kinds = {kind for change in users.values() for kind in change.signals or ()}
            self._store.apply(Changes(users=users, kinds=kinds), here)
            here = {partition: Advance(step.next, step.next) for partition, step in here.items()}
        if self.result.retired.proven:
            missing, extra, _ = self.result.retired
            self._store.apply(Changes(retire=liked(missing), restore=liked(extra)), here)
        return len(wrong)

    def _mark(self, users: Sequence[UserId]) -> None:
        """Store the event times of users with events on several partitions."""
        if not users:
            return
        homes = self._store.homes(self._partitioner, len(self._partitions))
        self._store.scatter(dict.fromkeys(users, 0), homes)
        for start in range(0, len(users), _CHUNK):
            self._store.catch_up(
                {
                    user: History(0, self._expected.merged[user].user_state())
                    for user in users[start : start + _CHUNK]
                }
            )

    def _advance(self, on_progress: OnProgress = _ignore) -> tuple[set[UserId], bool]:
        """Replay the log to the store's current positions; return the users and whether items changed."""
        targets = self._targets()
        total = sum(targets.values()) - sum(self._at.values())
        users: set[UserId] = set()
        items_touched = False
        read = 0
        for records in read_between(self._broker, self._at, targets):
            for event in self._decoded(records):
                if isinstance(event, RetireItem | RestoreItem):
                    items_touched = True
                users.update(users_of(event))
            read += len(records)
            on_progress(read, total)
        self._at = targets
        self._merge()
        self.result.events += read
        return users | self._expected.moved.downstream(users), items_touched

    def _merge(self) -> None:
        """Read the log again for the users who were found in several partitions."""
        if not self._expected.unmerged:
            return
        for records in read_between(self._broker, self._beginnings, self._at):
            for record in records:
                with suppress(InvalidInputError):
                    self._expected.merge(self._decode(record), record)
        self._expected.end_merge()

    def _targets(self) -> dict[TopicPartition, int]:
        extents = self._store.extents(self._partitions, resume=True)
        self._ahead = self._store.ahead(self._partitions)
        ends = self._broker.end_offsets(self._partitions)  # after the positions, so not before them
        self._stored = {p: at.lowest for p, at in zip(self._partitions, extents, strict=True)}
        applied = {partition: at or 0 for partition, at in self._stored.items()}
        self.result.beyond_log = {p: at for p, at in applied.items() if at > ends[p]}
        targets = {p: max(at, min(applied[p], ends[p])) for p, at in self._at.items()}
        self.result.lag = sum(ends.values()) - sum(targets.values())
        return targets

    def _decoded(self, records: Iterable[Record]) -> Iterator[Event]:
        for record in records:
            try:
                event = self._decode(record)
            except InvalidInputError:
                self.result.invalid += 1  # the consumers have dead-lettered it
                continue
            self._note_cut(record)
            self._expected.apply(event, record)
            yield event

    def _decode(self, record: Record) -> Event:
        """Return the event.

        Raises:
            InvalidInputError: the consumers have dead-lettered it.
        """
        event = decode_event(record)
        if isinstance(event, Signal | Unsignal) and event.kind not in self._kinds:
            raise InvalidInputError("unknown_kind", event.kind)
        return event

    def _note_cut(self, record: Record) -> None:
        if self._unread_cuts:
            partition = TopicPartition(record.topic, record.partition)
            if partition in self._unread_cuts:
                self._unread_cuts.discard(partition)
                self._expected.cut_ms = max(self._expected.cut_ms, record.timestamp)

    def _unexpected_users(self) -> set[UserId]:
        """Return the users in the store who should have nothing."""
        kinds = self._store.kinds()
        scans = [self._store.scan_users_of(kind, _CHUNK) for kind in kinds]
        return {
            user
            for users in chain(self._store.scan_users(_CHUNK), *scans)
            for user in users
            if not self._expected.knows(user)
        }

    def _differences(
        self, users: Iterable[UserId], on_compared: OnProgress
    ) -> dict[UserId, Difference]:
        remaining = iter(users)
        found = {}
        compared = 0
        kinds = self._store.kinds()
        while chunk := list(islice(remaining, _CHUNK)):
            likes, signals = self._store.likes(chunk), self._store.signals(chunk, kinds)
            for user, own_likes, own_signals in zip(chunk, likes, signals, strict=True):
                difference = self._expected.difference(user, things(own_likes, own_signals))
                if any(difference):
                    found[user] = difference
            compared += len(chunk)
            on_compared(compared, self.result.users)
        return found if self.result.whole else found | self._doubtful(found)

    def _doubtful(self, found: Mapping[UserId, Difference]) -> dict[UserId, Difference]:
        """Return the items that are not proven, because the log has lost events of other partitions."""
        merged = self._expected.merged.keys() | self._expected.moved.users
        alone = [user for user in found if user not in merged]
        marks = self._store.scattered(alone, [])
        return {
            user: Difference(unproven=frozenset().union(*found[user]))
            for user, mark in zip(alone, marks, strict=True)
            if mark is not None
        }
