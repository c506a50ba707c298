"""Refuses records to topics and partitions that do not exist."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from likewise.errors import UndeliverableError
from likewise.log.topic_listing import TopicListing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_TRUSTED_S = 30.0


class TopicSizes:
    """Knows which topics and partitions exist, as of a short time ago. Thread-safe.

    A Kafka producer blocks until its timeout for a topic that does not exist, and Tansu creates it.
    Requests name reply topics, so a sink must not allow either.
    """

    def __init__(
        self, ask: Callable[[], Mapping[str, int]], *, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        """`ask` returns the number of partitions of every topic."""
        self._listing = TopicListing(ask, found_for_s=_TRUSTED_S, clock_s=clock_s)

    def learn(self, sizes: Mapping[str, int]) -> None:
        """Take sizes that the caller has just asked for."""
        self._listing.learn(sizes)

    def check(self, topic: str, partition: int | None = None) -> None:
        """Return if the topic exists, and the partition, if one is given.

        The broker is asked again after 30 s, or after 1 s about what does not exist.

        Raises:
            UndeliverableError: the topic or the partition does not exist.
            TransientError: the topic is not known yet, and the broker cannot be reached.
        """
        number = partition or 0
        partitions = self._listing.size(topic, at_least=number + 1)
        if partitions == 0:
            raise UndeliverableError(f"there is no topic {topic}")
        if not 0 <= number < partitions:
            raise UndeliverableError(
                f"topic {topic} has {partitions} partitions, none with number {number}"
            )
