"""Which partitions a topic has, asked of the broker seldom enough to ask on every batch."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from likewise.streams import Broker, TopicPartition

FOUND_FOR_S = 60.0
MISSING_FOR_S = 1.0
# Anybody may name topics in requests: what is remembered of them is bounded.
MAX_REMEMBERED = 10_000


class _Seen(NamedTuple):
    partitions: list[TopicPartition]
    until_s: float


class KnownTopics:
    """Remembers for a minute that a topic exists, and for a second that it doesn't."""

    def __init__(self, broker: Broker, *, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._broker = broker
        self._clock_s = clock_s
        self._seen: dict[str, _Seen] = {}

    def partitions(self, topic: str) -> list[TopicPartition]:
        """Return the topic's partitions in order; empty where there is no such topic.

        Raises:
            TransientError: it has to be asked, and the broker is out of reach.
        """
        now_s = self._clock_s()
        seen = self._seen.get(topic)
        if seen is None or now_s >= seen.until_s:
            partitions = self._broker.partitions(topic)
            seen = _Seen(partitions, now_s + (FOUND_FOR_S if partitions else MISSING_FOR_S))
            if len(self._seen) >= MAX_REMEMBERED:
                self._seen.clear()
            self._seen[topic] = seen
        return seen.partitions

    def forget(self, topic: str) -> None:
        """Ask the broker again when next the topic is named."""
        self._seen.pop(topic, None)
