"""Which topics and partitions there are, so that nothing is sent to one that isn't."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from likewise.errors import UndeliverableError
from likewise.log.topic_listing import TopicListing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_TRUSTED_S = 30.0


class TopicSizes:
    """Refuses what would go to a topic or partition that does not exist. Thread-safe.

    A Kafka producer waits for a topic that does not exist until it times out, and Tansu creates
    it. Whoever lets strangers name topics can afford neither.
    """

    def __init__(
        self, ask: Callable[[], Mapping[str, int]], *, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        """`ask` returns the number of partitions of every topic."""
        self._listing = TopicListing(ask, found_for_s=_TRUSTED_S, clock_s=clock_s)

    def learn(self, sizes: Mapping[str, int]) -> None:
        """Take what was just asked for by somebody else, who acts on it."""
        self._listing.learn(sizes)

    def check(self, topic: str, partition: int | None = None) -> None:
        """Return if there is such a topic, and such a partition where one is named.

        What is there is asked again after 30 s, what is not after 1 s.

        Raises:
            UndeliverableError: there is not.
            TransientError: the topic is new here, and the broker cannot be reached.
        """
        number = partition or 0
        partitions = self._listing.size(topic, at_least=number + 1)
        if partitions == 0:
            raise UndeliverableError(f"there is no topic {topic}")
        if not 0 <= number < partitions:
            raise UndeliverableError(
                f"topic {topic} has {partitions} partitions, none with number {number}"
            )
