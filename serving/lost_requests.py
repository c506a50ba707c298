"""Requests that retention removed before anybody answered them: counted, and told to the operator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likewise.errors import TransientError, UndeliverableError
from likewise.service.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from likewise.log.port import Broker
    from likewise.records import Span, TopicPartition


class LostRequests:
    """Compares where the group was with where its partitions begin. Not thread-safe.

    The broker is asked when partitions have come to us, before anything of them is committed.
    """

    def __init__(self, broker: Broker, group: str) -> None:
        """Ask nothing yet."""
        self._broker = broker
        self._group = group
        self._known: frozenset[TopicPartition] = frozenset()
        # Where each partition goes on; None where nobody ever was.
        self._expected: dict[TopicPartition, int | None] = {}

    def count(
        self, assigned: Collection[TopicPartition], spans: Mapping[TopicPartition, Span]
    ) -> int:
        """Return how many requests are found to be gone, after a poll that read `spans`.

        A broker that can't be reached is asked again with the next poll.
        """
        lost = 0
        if self._known != assigned:
            lost += self._take_up(frozenset(assigned))
        for partition, span in spans.items():
            expected = self._expected.get(partition)
            if expected is not None and span.start > expected:
                lost += self._tell(partition, expected, span.start)
            self._expected[partition] = span.end
        return lost

    def _take_up(self, assigned: frozenset[TopicPartition]) -> int:
        new = assigned - self._known
        try:
            committed = self._broker.committed(self._group, new) if new else {}
            beginnings = self._broker.beginning_offsets(new) if new else {}
        except (TransientError, UndeliverableError):
            return 0
        self._known = assigned
        self._expected = {p: at for p, at in self._expected.items() if p in assigned - new}
        lost = 0
        for partition, reached in committed.items():
            begins = beginnings[partition]
            if reached is not None and reached < begins:
                lost += self._tell(partition, reached, begins)
            self._expected[partition] = None if reached is None else max(reached, begins)
        return lost

    def _tell(self, partition: TopicPartition, reached: int, begins: int) -> int:
        get_logger().error(
            "requests are gone that nobody has answered: the topic's retention is shorter than the "
            "servers' absence or backlog was",
            **partition._asdict(),
            first=reached,
            count=begins - reached,
        )
        return begins - reached
