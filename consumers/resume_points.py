"""Where to read a partition from: Redis says what is applied, the log says what is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from consumers.epochs import ends_of_applied
from likewise.errors import PositionMovedError
from likewise.store.port import Advance, Changes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from likewise.log.port import Broker
    from likewise.records import TopicPartition
    from likewise.store.port import LikeStore


class ResumePoint(NamedTuple):
    """The offset to read first, and what an operator should know about it, if anything."""

    offset: int
    warning: str | None = None
    reason: str | None = None
    """`remade`, `truncated` or `retention`: why the log does not go on from the stored position."""


def take_up(
    broker: Broker, store: LikeStore, partitions: Sequence[TopicPartition]
) -> dict[TopicPartition, ResumePoint]:
    """Return where to read partitions of one topic from; the stored positions are there by then.

    Those that another member was quicker with are left out. The log is noted after the position: a
    crash between the two makes it be read from its beginning once more.

    Raises:
        TransientError: a server is out of reach.
    """
    log = broker.log_id(partitions[0].topic)
    positions, logs = store.positions(partitions), store.logs(partitions)
    beginnings, ends = broker.beginning_offsets(partitions), broker.end_offsets(partitions)
    same_up_to = ends_of_applied(broker, store, partitions)
    starts: dict[TopicPartition, ResumePoint] = {}
    for partition, position, noted in zip(partitions, positions, logs, strict=True):
        anew = None not in (log, noted) and log != noted
        start = choose_resume_point(
            position,
            beginnings[partition],
            ends[partition],
            anew=anew,
            same_up_to=same_up_to.get(partition),
        )
        if start.offset != position:
            try:
                store.apply(Changes(), {partition: Advance(position, start.offset)})
            except PositionMovedError:
                continue
        starts[partition] = start
    if log is not None:
        store.note_logs(
            log,
            [p for p, noted in zip(partitions, logs, strict=True) if p in starts and noted != log],
        )
    return starts


def remade(
    broker: Broker, store: LikeStore, partitions: Sequence[TopicPartition]
) -> list[TopicPartition]:
    """Return which of one topic's partitions are of another log by now than when they were taken up.

    Raises:
        TransientError: a server is out of reach.
    """
    log = broker.log_id(partitions[0].topic) if partitions else None
    if log is None:
        return []
    noted = zip(partitions, store.logs(partitions), strict=True)
    return [partition for partition, its in noted if its != log]


def choose_resume_point(
    stored: int | None,
    beginning: int,
    end: int,
    *,
    anew: bool = False,
    same_up_to: int | None = None,
) -> ResumePoint:
    """Return where to go on, from the stored position and the offsets at both ends of the log.

    The log is the truth: with no usable position all of it is read again, which is harmless where
    it is still whole. `anew`
    is whether the position is known to be of another log, which had the same name; `same_up_to` is
    where the log that was applied ends, if the broker says.
    """
    if stored is None and beginning:
        return ResumePoint(
            beginning,
            f"Redis has applied nothing and the partition begins at {beginning}: what its first "
            f"{beginning} events said is gone and can't be restored from the log. Keep the events: "
            "set retention.ms=-1 on the topic",
            "retention",
        )
    if stored is None:
        return ResumePoint(beginning)
    if anew:
        return ResumePoint(
            beginning,
            f"the topic was made anew since Redis has applied events up to {stored}; all of it is "
            f"read again from {beginning}",
            "remade",
        )
    if same_up_to is not None and same_up_to < stored:
        return ResumePoint(
            max(same_up_to, beginning),
            f"the partition lost its tail: Redis has applied events up to {stored}, and those from "
            f"{same_up_to} on are gone or are others now; it is read again from there. What only "
            "the lost ones said is in Redis still; `likewise verify --repair` takes it back",
            "truncated",
        )
    if stored > end:
        return ResumePoint(
            beginning,
            f"Redis has applied events up to {stored}, but the partition ends at {end}: it was "
            f"made anew or has lost its tail; all of it is read again from {beginning}",
            "remade",
        )
    if stored < beginning:
        return ResumePoint(
            beginning,
            f"the events from {stored} to {beginning - 1} are gone from the partition and were "
            "never applied: its retention is shorter than the consumers' absence was",
            "retention",
        )
    return ResumePoint(stored)
