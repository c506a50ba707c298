"""Requests that retention removed before they were answered. They are counted and logged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likewise.errors import TransientError, UndeliverableError
from likewise.service.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from likewise.log.port import Broker
    from likewise.records import Committed, Span, TopicPartition


class LostRequests:
    """Compares where each partition should continue with where it does. Not thread-safe."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        # Where each partition should continue. Without an entry, nobody has read it yet.
        self._expected: dict[TopicPartition, int] = {}
        self._unchecked: set[TopicPartition] = set()

    def resume(self, committed: Mapping[TopicPartition, Committed]) -> None:
        """Expect partitions to continue where the group has committed, or further. No I/O.

        Call it after each rebalance, before anything is committed.
        """
        for partition, at in committed.items():
            self._expected[partition] = max(at.offset, self._expected.get(partition, 0))
        self._unchecked.update(committed)

    def count(
        self, assigned: Collection[TopicPartition], spans: Mapping[TopicPartition, Span]
    ) -> int:
        """Return how many requests are newly found to be lost. `spans` are those of the last poll.

        After `resume` it asks the broker where partitions begin. A broker that cannot be reached is
        asked again next time.
        """
        self._expected = {p: at for p, at in self._expected.items() if p in assigned}
        self._unchecked.intersection_update(self._expected)
        lost = sum(self._compare(p, begins) for p, begins in self._beginnings().items())
        for partition, span in spans.items():
            lost += self._compare(partition, span.start)
            self._expected[partition] = span.end
        return lost

    def _beginnings(self) -> Mapping[TopicPartition, int]:
        """Return where partitions begin that were not asked about since the last rebalance."""
        if not self._unchecked:
            return {}
        try:
            beginnings = self._broker.beginning_offsets(self._unchecked)
        except (TransientError, UndeliverableError):
            return {}
        self._unchecked.clear()
        return beginnings

    def _compare(self, partition: TopicPartition, found: int) -> int:
        """Return how many requests are missing before the offset that was found."""
        expected = self._expected.get(partition, found)
        if found <= expected:
            return 0
        get_logger().error(
            "requests expired unanswered; the topic's retention is shorter than the servers' "
            "downtime or backlog",
            **partition._asdict(),
            first=expected,
            count=found - expected,
        )
        self._expected[partition] = found
        return found - expected
