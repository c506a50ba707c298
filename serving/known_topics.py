"""Which partitions a topic has, asked of the broker seldom enough to ask on every batch."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from likewise.log.topic_listing import TopicListing
from likewise.records import TopicPartition

if TYPE_CHECKING:
    from collections.abc import Callable

    from likewise.log.port import Broker

FOUND_FOR_S = 60.0


class KnownTopics:
    """Remembers for a minute that a topic exists, and for a second that it doesn't."""

    def __init__(self, broker: Broker, *, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._listing = TopicListing(broker.topic_sizes, found_for_s=FOUND_FOR_S, clock_s=clock_s)

    def partitions(self, topic: str, *, at_least: int = 1) -> list[TopicPartition]:
        """Return the topic's partitions in order; empty where there is no such topic. See `size`."""
        return [TopicPartition(topic, number) for number in range(self.size(topic, at_least))]

    def size(self, topic: str, at_least: int = 1) -> int:
        """Return how many partitions the topic has; 0 where there is no such topic.

        Where they are fewer than `at_least`, the broker is asked again if the last time was a second ago.

        Raises:
            TransientError: it has to be asked, and the broker cannot be reached.
        """
        return self._listing.size(topic, at_least=at_least)

    @property
    def listing(self) -> int:
        """The number of what is remembered: another one after the broker was asked."""
        return self._listing.number

    def has(self, topic: str, at_least: int = 1) -> bool:
        """Whether the topic is known, with so many partitions. No I/O."""
        return self._listing.has(topic, at_least)

    def age_s(self) -> float:
        """Return how long ago the broker was asked for what is remembered."""
        return self._listing.age_s()

    def forget(self, topic: str) -> None:
        """Ask the broker again when next the topic is named."""
        self._listing.doubt(topic)
