"""Leaves out of a batch what parts of the store have already: after a crash or a failover on a Redis Cluster.

Buckets of users are applied one by one, so some may be ahead of the positions at which a consumer
resumes. To apply an event twice is not enough: a like must not undo the `unlike` after it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from consumers.fold import fold
from likewise.messages.events import Like, MergeUsers, RestoreItem, RetireItem, Signal
from likewise.records import TopicPartition
from likewise.service.logs import get_logger
from likewise.store.bucket_port import Move

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from consumers.batches import Part
    from consumers.documents import Documents
    from likewise.messages.events import Event
    from likewise.records import Record
    from likewise.store.bucket_port import Ahead, Moved
    from likewise.store.port import Changes, LikeStore


class Pending(NamedTuple):
    """What is left to apply; `shared` are all changes that count for what belongs to no user."""

    parts: list[Part]
    documents: Documents | None
    shared: Changes


def pending(
    store: LikeStore, ahead: Ahead, parts: Sequence[Part], documents: Documents | None
) -> Pending:
    """Return the part of a batch that the store does not have.

    A merge whose guest has it, and whose account does not, becomes likes and signals of the account:
    the store remembers what was moved.
    """
    moves = [move for part in parts for move in _moves(part, ahead)]
    moved = dict(zip(moves, store.moved(moves), strict=True))
    if forgotten := [move for move, items in moved.items() if items is None]:
        get_logger().warning("merges moved nothing that is still known", merges=len(forgotten))
    left = [_left_of(part, ahead, moved) for part in parts]
    shared = fold(
        event
        for part in parts
        for event, record in zip(part.events, part.records, strict=True)
        if not ahead.has_shared(_partition(record), record.offset)
    )
    if documents is not None:
        shared.items = documents.items
        documents = _documents_left(documents, ahead)
    return Pending(left, documents, shared)


def _moves(part: Part, ahead: Ahead) -> Iterator[Move]:
    """Yield the merges that their guests have, and their accounts do not."""
    for index in part.merges:
        event, record = part.events[index], part.records[index]
        at = _partition(record)
        if (
            isinstance(event, MergeUsers)
            and ahead.has(event.user_id, at, record.offset)
            and not ahead.has(event.into, at, record.offset)
        ):
            yield Move(event.user_id, at, record.offset)


def _left_of(part: Part, ahead: Ahead, moved: Mapping[Move, Moved | None]) -> Part:
    left = part._replace(events=[], records=[], merges=[])
    merges: list[int] = []
    for event, record in zip(part.events, part.records, strict=True):
        for one in _events_left(event, record, ahead, moved):
            if isinstance(one, MergeUsers):
                merges.append(len(left.events))
            left.events.append(one)
            left.records.append(record)
    return left._replace(merges=merges)


def _events_left(
    event: Event, record: Record, ahead: Ahead, moved: Mapping[Move, Moved | None]
) -> Iterator[Event]:
    at = _partition(record)
    if isinstance(event, RetireItem | RestoreItem):
        if not ahead.has_shared(at, record.offset):
            yield event
    elif not ahead.has(event.user_id, at, record.offset):
        yield event
    elif isinstance(event, MergeUsers):
        items_by_kind = moved.get(Move(event.user_id, at, record.offset)) or {}
        for kind, items in items_by_kind.items():
            for item in items:
                like = Like(event.into, item)
                yield like if kind is None else Signal(event.into, item, kind)


def _documents_left(documents: Documents, ahead: Ahead) -> Documents:
    places = documents.places
    return documents._replace(
        items={
            item: stored
            for item, stored in documents.items.items()
            if not ahead.has_item(item, *places["item", item])
        },
        scenarios={
            name: stored
            for name, stored in documents.scenarios.items()
            if not ahead.has_shared(*places["scenario", name])
        },
        experiments={
            name: stored
            for name, stored in documents.experiments.items()
            if not ahead.has_shared(*places["experiment", name])
        },
    )


def _partition(record: Record) -> TopicPartition:
    return TopicPartition(record.topic, record.partition)
