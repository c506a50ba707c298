"""Reads parts of the log for scattered users: what was applied before, and the backlog."""

from __future__ import annotations

from typing import TYPE_CHECKING

from consumers.batches import by_partition, decode
from consumers.homes import away_from_home
from consumers.merging import merges_in
from likewise.log.ranges import read_between
from likewise.messages.events import MergeUsers, RestoreItem, RetireItem, users_of
from likewise.messages.order import UserState

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Container, Iterator, Mapping

    from consumers.batches import Part
    from likewise.log.port import Broker
    from likewise.messages.ids import UserId
    from likewise.records import TopicPartition
    from likewise.store.port import Homes


def read_histories(
    broker: Broker,
    start: Mapping[TopicPartition, int],
    end: Mapping[TopicPartition, int],
    users: Collection[UserId],
    kinds: Container[str],
    while_reading: Callable[[], None],
) -> dict[UserId, UserState]:
    """Return the users' states by their events between these offsets; empty without events.

    Raises:
        TransientError: see `read_between`.
    """
    states = {user: UserState() for user in users}
    for part in _parts(broker, start, end, kinds, while_reading):
        for event, record in zip(part.events, part.records, strict=True):
            if isinstance(event, RetireItem | RestoreItem):
                continue
            if event.user_id in states:
                states[event.user_id].add(event, record, {})
            if isinstance(event, MergeUsers) and event.into in states:
                states[event.into].moment(record, {})  # what moved has its times already
    return states


def floors_ahead(
    broker: Broker,
    start: Mapping[TopicPartition, int],
    end: Mapping[TopicPartition, int],
    homes: Homes,
    kinds: Container[str],
    while_reading: Callable[[], None],
) -> dict[UserId, int]:
    """Return the users to mark between these offsets, and a time not after their first event.

    Those are the users away from home, and the accounts of merges.

    Raises:
        TransientError: see `read_between`.
    """
    found: dict[tuple[int, UserId], int] = {}
    for part in _parts(broker, start, end, kinds, while_reading):
        firsts: dict[UserId, int] = {}
        for event, record in zip(part.events, part.records, strict=True):
            for user in users_of(event):
                firsts.setdefault(user, max(record.timestamp, 0))
        accounts = {merge.into for merge in merges_in(part)}
        for user in accounts.union(away_from_home([*firsts], part.partition, homes)):
            found.setdefault((part.partition, user), firsts[user])
    floors_ms: dict[UserId, int] = {}
    for (_, user), first_ms in found.items():
        floors_ms[user] = min(first_ms, floors_ms.get(user, first_ms))
    return floors_ms


def _parts(
    broker: Broker,
    start: Mapping[TopicPartition, int],
    end: Mapping[TopicPartition, int],
    kinds: Container[str],
    while_reading: Callable[[], None],
) -> Iterator[Part]:
    for records in read_between(broker, start, end):
        while_reading()
        # Records that are not events are dead letters already, or will be.
        yield from decode(by_partition(records), kinds).parts
