"""Where to resume a partition: Redis knows what is applied, the log knows what there is to read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from consumers.epochs import ends_of_applied
from likewise.errors import PositionMovedError
from likewise.store.port import Advance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from likewise.log.port import Broker
    from likewise.records import TopicPartition
    from likewise.store.bucket_port import Extent
    from likewise.store.port import LikeStore


class LogBreak(NamedTuple):
    """Why a log does not continue at the applied position, and a sentence for the operator."""

    reason: Literal["remade", "truncated", "retention"]
    event: str


class ResumePoint(NamedTuple):
    """The offset to read first, and the break in the log if there is one."""

    offset: int
    log_break: LogBreak | None
    facts: dict[str, int | None]
    """For the operator: the applied position, and the offsets at both ends of the log."""


_BEGINNING_GONE = LogBreak(
    "retention",
    "the log's first events are gone and cannot be restored; "
    "set retention.ms=-1 on the topic to keep all events",
)
_RECREATED = LogBreak("remade", "the topic was recreated; reading all of it")
_TRUNCATED = LogBreak(
    "truncated",
    "the partition lost its tail; reading again from there. Redis still holds what only the lost "
    "events changed: `likewise verify --repair` removes it",
)
_ENDS_EARLIER = LogBreak(
    "remade",
    "the partition ends before the applied position: the topic was recreated, or the partition "
    "lost its tail; reading all of it",
)
_EXPIRED = LogBreak(
    "retention",
    "retention removed events that were not applied yet; the consumers were down for longer "
    "than the topic keeps events",
)


def resume_points(
    broker: Broker, store: LikeStore, partitions: Sequence[TopicPartition]
) -> dict[TopicPartition, ResumePoint]:
    """Return where to resume the partitions, and store those positions.

    A partition whose position another member moves meanwhile is left out. The log's id is noted
    after the position: after a crash in between, the log is read again from its beginning.

    Raises:
        TransientError: a server cannot be reached.
    """
    logs_now = _logs(broker, partitions)
    extents, logs = store.extents(partitions, resume=True), store.logs(partitions)
    beginnings, ends = broker.beginning_offsets(partitions), broker.end_offsets(partitions)
    same_up_to = ends_of_applied(broker, store, partitions)
    points: dict[TopicPartition, ResumePoint] = {}
    for partition, extent, noted in zip(partitions, extents, logs, strict=True):
        position = extent.lowest
        point = choose_resume_point(
            extent,
            beginnings[partition],
            ends[partition],
            is_recreated=noted is not None and logs_now.get(partition.topic, noted) != noted,
            same_up_to=same_up_to.get(partition),
        )
        rewind = point.log_break is not None and point.log_break.reason != "retention"
        if point.offset != position or rewind:
            try:
                store.resume_at({partition: Advance(position, point.offset)}, rewind=rewind)
            except PositionMovedError:
                continue
        points[partition] = point
    noted_before = dict(zip(partitions, logs, strict=True))
    for topic, log in logs_now.items():
        store.note_logs(log, [p for p in points if p.topic == topic and noted_before[p] != log])
    return points


def recreated(
    broker: Broker, store: LikeStore, partitions: Sequence[TopicPartition]
) -> list[TopicPartition]:
    """Return the partitions whose log is not the one that was applied.

    Raises:
        TransientError: a server cannot be reached.
    """
    logs = _logs(broker, partitions)
    with_id = [partition for partition in partitions if partition.topic in logs]
    noted = zip(with_id, store.logs(with_id), strict=True)
    return [partition for partition, log in noted if log != logs[partition.topic]]


def _logs(broker: Broker, partitions: Sequence[TopicPartition]) -> dict[str, str]:
    """Return the ids of the partitions' logs by topic, of those that have one."""
    found = {topic: broker.log_id(topic) for topic in {one.topic for one in partitions}}
    return {topic: log for topic, log in found.items() if log is not None}


def choose_resume_point(
    applied: Extent,
    beginning: int,
    end: int,
    *,
    is_recreated: bool = False,
    same_up_to: int | None = None,
) -> ResumePoint:
    """Return where to resume, given the applied position and the offsets at both ends of the log.

    Without a usable position the whole log is read again, which is harmless while it is complete.
    `is_recreated`: the position is of an earlier log of the same name. `same_up_to`: the end of
    the log that was applied, if the broker knows it. A part of the store may be ahead of the others.
    """
    lowest, furthest = applied
    facts = {"applied": lowest, "beginning": beginning, "end": end}
    if furthest is None:
        return ResumePoint(beginning, _BEGINNING_GONE if beginning else None, facts)
    if is_recreated:
        return ResumePoint(beginning, _RECREATED, facts)
    if same_up_to is not None and same_up_to < furthest:
        return ResumePoint(max(min(lowest or 0, same_up_to), beginning), _TRUNCATED, facts)
    if furthest > end:
        return ResumePoint(beginning, _ENDS_EARLIER, facts)
    if lowest is None:
        return ResumePoint(beginning, _BEGINNING_GONE if beginning else None, facts)
    if lowest < beginning:
        return ResumePoint(beginning, _EXPIRED, facts)
    return ResumePoint(lowest, None, facts)
