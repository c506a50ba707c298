"""kafka-python's consumer, changed to survive batches that it cannot decode and to report what it read.

Replaces private parts of kafka-python 3.0: `Fetcher.PartitionRecords` (see
`likewise.log.kafka.guarded_records`), and wraps `Fetcher._parse_fetched_data` and `Fetcher._append`.
tests/unit/test_kafka_python.py fails when one of them changes, or is repaired.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any

import kafka
from kafka import errors as kafka_errors
from kafka.consumer.fetcher import Fetcher

from likewise.log.kafka.guarded_records import GuardedRecords
from likewise.records import Span, TopicPartition

if TYPE_CHECKING:
    from likewise.log.kafka.guarded_records import Damage

_log = logging.getLogger(__name__)


class Consumer(kafka.KafkaConsumer):  # type: ignore[misc]  # kafka-python has no types
    """A consumer of kafka-python that reads committed records only, and returns our records."""

    def __init__(self, **options: Any) -> None:
        super().__init__(isolation_level="read_committed", **options)
        self._fetcher = GuardedFetcher(
            self._client, self._subscription, metrics=self._metrics, **self.config
        )

    @property
    def fetcher(self) -> GuardedFetcher:
        """What fetches, and knows what it has fetched."""
        return self._fetcher


class GuardedFetcher(Fetcher):  # type: ignore[misc]  # kafka-python has no types
    """Decodes with `GuardedRecords`, and records how far it has read."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.spans: dict[TopicPartition, Span] = {}
        """What was read of each partition since this was last cleared."""
        self.ends: dict[TopicPartition, int] = {}
        """Where each partition ended for readers at the last fetch."""
        self.held_back: dict[TopicPartition, int] = {}
        """How many offsets follow that end, if any."""
        self.high_watermarks: dict[Any, int] = {}
        self.damage: dict[Any, Damage] = {}
        """The damaged bytes that each partition is fetched again for."""
        self._reported_at: dict[Any, int] = {}
        # The fetcher calls it like the class.
        self.PartitionRecords = partial(GuardedRecords, self.high_watermarks, self.damage)

    def _parse_fetched_data(self, completed_fetch: Any) -> Any:
        data = completed_fetch.partition_data
        if not data.error_code:
            self._note_end(TopicPartition(*completed_fetch.topic_partition), data)
        elif data.error_code == kafka_errors.CorruptRecordError.errno:
            self._report_once(completed_fetch.topic_partition, completed_fetch.fetched_offset)
        return super()._parse_fetched_data(completed_fetch)

    def _report_once(self, partition: Any, offset: int) -> None:
        # The fetch is repeated until somebody repairs the log or moves the offset.
        if self._reported_at.get(partition) != offset:
            self._reported_at[partition] = offset
            _log.error("%s:%d at %d: the broker cannot read its own log", *partition, offset)

    def _note_end(self, partition: TopicPartition, data: Any) -> None:
        # A broker without transactions may return no stable offset.
        stable = data.last_stable_offset
        self.high_watermarks[partition] = data.high_watermark
        end = self.ends[partition] = data.high_watermark if stable < 0 else stable
        if data.high_watermark > end:
            self.held_back[partition] = data.high_watermark - end
        else:
            self.held_back.pop(partition, None)

    def _append(self, drained: Any, part: Any, max_records: int, update_offsets: bool) -> int:
        before = self._position(part.topic_partition)
        taken: int = super()._append(drained, part, max_records, update_offsets)
        after = self._position(part.topic_partition)
        if before is not None and after is not None and after > before:
            partition = TopicPartition(*part.topic_partition)
            known = self.spans.get(partition)
            start = known.start if known is not None and known.end == before else before
            self.spans[partition] = Span(start, after)
        return taken

    def _position(self, partition: Any) -> int | None:
        state = self._subscriptions.assignment.get(partition)
        if state is None or state.position is None:
            return None
        return int(state.position.offset)
