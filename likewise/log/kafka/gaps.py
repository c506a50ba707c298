"""Records that Tansu returns too late: a reader waits for them, or it would never get them.

While several producers write to one partition, Tansu 0.6 may return a batch before the one in front of
it. A reader that continues behind that batch loses the earlier one, though it is in the log. Without
compaction every offset has a record, so a missing one is a batch that is still to come; only an aborted
batch and a transaction's marker leave an offset empty for good.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from likewise.records import Span, TopicPartition, Unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from likewise.records import Record

GAP_TIMEOUT_S = 1.0


class Gaps:
    """Drops what follows a gap and seeks back to it, until the gap is filled or a second is over."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._found: dict[TopicPartition, tuple[int, float]] = {}
        """The offset of each partition's last gap, and when it was found."""

    def hold_back(self, consumer: Any, records: Sequence[Record]) -> list[Record]:
        """Return the records of a poll up to the first gap of each partition."""
        spans: dict[TopicPartition, Span] = consumer.fetcher.spans
        if len(records) == sum(span.end - span.start for span in spans.values()):
            return list(records)  # one for each offset
        expected = {partition: span.start for partition, span in spans.items()}
        gaps: dict[TopicPartition, int] = {}
        kept: list[Record] = []
        for record in records:
            partition = TopicPartition(record.topic, record.partition)
            if partition in gaps:
                continue
            at = expected.get(partition, record.offset)
            if record.offset > at and self._may_be_filled(partition, at):
                gaps[partition] = at
                continue
            kept.append(record)
            last = record.last_offset if isinstance(record, Unreadable) else record.offset
            expected[partition] = last + 1
        for partition, at in gaps.items():
            _seek(consumer, partition, at)
        return kept

    def _may_be_filled(self, partition: TopicPartition, at: int) -> bool:
        offset, found_s = self._found.get(partition, (None, 0.0))
        if offset != at:
            self._found[partition] = at, self._clock_s()
            return True
        return self._clock_s() - found_s < GAP_TIMEOUT_S


def _seek(consumer: Any, partition: TopicPartition, at: int) -> None:
    span = consumer.fetcher.spans.pop(partition)
    if at > span.start:
        consumer.fetcher.spans[partition] = Span(span.start, at)
    own = next((one for one in consumer.assignment() if TopicPartition(*one) == partition), None)
    if own is not None:  # not reassigned meanwhile
        consumer.seek(own, at)
