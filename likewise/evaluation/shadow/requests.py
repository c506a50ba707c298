"""The most recent requests, as servers read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from likewise.errors import LikewiseError
from likewise.log.ranges import read_between
from serving.incoming import OpenRequest, read_request

if TYPE_CHECKING:
    from indexer.progress import Progress
    from likewise.log.port import Broker
    from likewise.log.topics import Topics


@dataclass(frozen=True, slots=True)
class Recent:
    """The requests among the last records of the topic, oldest first, and how many were none."""

    asked: list[OpenRequest]
    bad: int


def read_recent(broker: Broker, topics: Topics, limit: int, progress: Progress) -> Recent:
    """Return the last `limit` records of the request topic; those that are no requests are counted.

    They are the last by the times of the records, over all partitions.

    Raises:
        LikewiseError: there are no requests on the topic, or none of the last can be understood.
        TransientError: the broker cannot be reached.
    """
    partitions = broker.partitions(topics.requests)
    beginning, end = broker.beginning_offsets(partitions), broker.end_offsets(partitions)
    start = {one: max(beginning[one], end[one] - limit) for one in partitions}
    progress.expect(sum(end.values()) - sum(start.values()))
    records = []
    for chunk in read_between(broker, start, end):
        records += chunk
        progress.advance(len(chunk))
    if not records:
        raise LikewiseError(f"there are no requests on topic {topics.requests} to answer again")
    records.sort(key=lambda record: (record.timestamp, record.partition, record.offset))
    recent = records[-limit:]
    read = [
        read_request(record, default_reply_topic=topics.replies, received_at_ms=record.timestamp)
        for record in recent
    ]
    asked = [one for one in read if isinstance(one, OpenRequest)]
    if not asked:
        raise LikewiseError(
            f"none of the last {len(recent)} records on topic {topics.requests} is a request"
        )
    return Recent(asked, len(recent) - len(asked))
