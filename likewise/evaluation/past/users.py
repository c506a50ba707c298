"""What a user liked and signalled at a moment, and which items were retired: the log, replayed.

The consumers' own code applies the events, to a store in memory. Only the partitions that can have
events of the user are read.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from consumers.batches import Part, by_partition, decode
from consumers.ordering import Ordering
from consumers.recent import Recent
from consumers.scattering import Scattering
from consumers.stats import ConsumerStats
from likewise.errors import InvalidInputError
from likewise.evaluation.past.moments import read_until
from likewise.log.partitioners import partition_of
from likewise.log.ranges import read_between
from likewise.messages.event_decoding import decode_event
from likewise.messages.events import (
    ForgetUser,
    Like,
    MergeUsers,
    RestoreItem,
    RetireItem,
    Unlike,
    users_of,
)
from likewise.messages.times import iso_time
from likewise.records import TopicPartition
from likewise.store.port import Advance, Changes, Homes, UserChange
from likewise.testing import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Set as AbstractSet

    from indexer.progress import Progress
    from likewise.evaluation.past.moments import Moment
    from likewise.log.port import Broker
    from likewise.messages.events import Event
    from likewise.messages.ids import ItemId, UserId
    from likewise.records import Record
    from likewise.settings import Settings
    from likewise.store.port import LikeStore


@dataclass(slots=True)
class Past:
    """A store as it was at the moment, for one user and the retired items."""

    store: MemoryStore
    events: int = 0
    """The user's events up to the moment."""
    missing: list[str] = field(default_factory=list)
    """What could not be known, as sentences."""


class UserReplay:
    """Replays the likes topic for one user; `user_id` is None for a request without a user."""

    def __init__(
        self,
        broker: Broker,
        store: LikeStore,
        topic: str,
        settings: Settings,
        user_id: UserId | None,
    ) -> None:
        """Ask the store which partitions can have events of the user."""
        self._broker = broker
        self._live = store
        self._topic = topic
        self._settings = settings
        self._user_id = user_id
        self._kinds = settings.signals.accepted | store.kinds()
        partitions = broker.partitions(topic)
        self._homes = store.stored_homes() or Homes(
            settings.kafka.partitioner, len(partitions) or 1
        )
        self._partitions = self._needed(partitions)
        self._beginnings = broker.beginning_offsets(self._partitions)

    @property
    def partitions(self) -> list[int]:
        """The partitions that are read."""
        return [one.partition for one in self._partitions]

    def until(self, moment: Moment, progress: Progress) -> Past:
        """Return the store as it was at the moment.

        Raises:
            TransientError: a server cannot be reached.
        """
        past = Past(MemoryStore())
        users = self._users(moment, progress)
        if self._partitions:
            self._apply(moment, users, past, progress)
        if self._user_id is not None:
            self._complete(self._user_id, past, progress)
        return past

    def _needed(self, partitions: list[TopicPartition]) -> list[TopicPartition]:
        retired_ever, _ = self._live.retired()
        if retired_ever:  # retired items have events in every partition
            return partitions
        if self._user_id is None:
            return []
        [mark] = self._live.scattered([self._user_id], [])
        if mark is not None:
            return partitions
        key = self._user_id.encode()
        home = partition_of(self._homes.partitioner, key, self._homes.partitions)
        return [one for one in partitions if one.partition == home]

    def _users(self, moment: Moment, progress: Progress) -> set[UserId]:
        """Return the user and the guests who were merged into that account, and into these."""
        if self._user_id is None:
            return set()
        users = {self._user_id}
        [mark] = self._live.scattered([self._user_id], [])
        if mark is None:  # an account that somebody was merged into is marked
            return users
        progress.step("reading merges")
        merges = [
            event
            for records in read_until(self._broker, self._partitions, moment, progress)
            for event, _ in _events(records)
            if isinstance(event, MergeUsers)
        ]
        while guests := {one.user_id for one in merges if one.into in users} - users:
            users |= guests
        return users

    def _apply(
        self, moment: Moment, users: AbstractSet[UserId], past: Past, progress: Progress
    ) -> None:
        progress.step("replaying the log")
        past.store.homes(self._homes.partitioner, self._homes.partitions)
        ordering = self._ordering(past.store)
        for records in read_until(self._broker, self._partitions, moment, progress):
            for part in decode(by_partition(records), self._kinds).parts:
                if (ours := _only(part, users)).events:
                    partition = TopicPartition(self._topic, part.partition)
                    [expected] = past.store.positions([partition])
                    after = ours.records[-1].offset + 1
                    ordering.apply([ours], {partition: Advance(expected, after)})
                    past.events += sum(self._user_id in users_of(one) for one in ours.events)

    def _ordering(self, store: MemoryStore) -> Ordering:
        stats = ConsumerStats()
        scattering = Scattering(
            self._broker,
            store,
            self._topic,
            self._homes.partitioner,
            stats,
            frozenset(self._kinds),
        )
        serving = msgspec.structs.replace(self._settings.serving, new_item_likes=0)
        trending = msgspec.structs.replace(self._settings.trending, half_life_s=0)
        settings = msgspec.structs.replace(self._settings, serving=serving, trending=trending)
        return Ordering(store, scattering, Recent(settings, store, stats))

    def _complete(self, user_id: UserId, past: Past, progress: Progress) -> None:
        """Where the log has lost its start, add the likes of now that it says nothing about."""
        cut = {one: at for one, at in self._beginnings.items() if at}
        if not cut:
            return
        progress.step("reading what has changed since")
        named: set[ItemId] = set()
        forgotten = False
        end = self._broker.end_offsets(self._partitions)
        since_ms = -1
        for records in read_between(self._broker, self._beginnings, end):
            for event, record in _events(records):
                since_ms = record.timestamp if since_ms < 0 else min(since_ms, record.timestamp)
                if user_id in users_of(event):
                    forgotten = forgotten or isinstance(event, ForgetUser | MergeUsers)
                    if isinstance(event, Like | Unlike):
                        named.add(event.item_id)
        [now] = self._live.likes([user_id])
        if not forgotten:
            add = set(now) - named
            past.store.apply(Changes(users={user_id: UserChange(add=add)}), {})
        starts = ", ".join(f"{one.partition}:{at}" for one, at in sorted(cut.items()))
        past.missing.append(
            f"the log begins at {starts}"
            + (f" ({iso_time(since_ms)})" if since_ms >= 0 else "")
            + "; of the likes before that, only those are known that the user still has"
        )


def _events(records: list[Record]) -> Iterator[tuple[Event, Record]]:
    for record in records:
        with suppress(InvalidInputError):  # the consumers have dead-lettered it
            yield decode_event(record), record


def _only(part: Part, users: AbstractSet[UserId]) -> Part:
    """Return the events of these users, and those that retire or restore items."""
    kept = [
        (event, record)
        for event, record in zip(part.events, part.records, strict=True)
        if isinstance(event, RetireItem | RestoreItem) or not users.isdisjoint(users_of(event))
    ]
    events = [event for event, _ in kept]
    return Part(
        part.partition,
        events,
        [record for _, record in kept],
        [index for index, event in enumerate(events) if isinstance(event, MergeUsers)],
        any(isinstance(event, ForgetUser | MergeUsers) for event in events),
    )
