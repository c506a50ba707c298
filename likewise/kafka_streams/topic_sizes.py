"""Which topics and partitions there are, so that nothing is sent to one that isn't."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from likewise.errors import TransientError, UndeliverableError

if TYPE_CHECKING:
    from collections.abc import Callable

_TRUSTED_S = 30.0
_DOUBTED_S = 1.0
# Requesters name topics as they like; what they made up must not pile up here.
_MAX_TOPICS = 1_000


class _Size(NamedTuple):
    partitions: int
    asked_at_s: float


class TopicSizes:
    """How many partitions each topic has, or had a little while ago. Thread-safe.

    A Kafka producer waits for a topic that does not exist until it times out, and Tansu creates
    it. Whoever lets strangers name topics can afford neither.
    """

    def __init__(
        self, ask: Callable[[str], int], *, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        """`ask` returns the number of partitions of a topic, 0 where there is no such topic."""
        self._ask = ask
        self._clock_s = clock_s
        self._sizes: dict[str, _Size] = {}

    def check(self, topic: str, partition: int | None = None) -> None:
        """Return if there is such a topic, and such a partition where one is named.

        What is there is asked again after 30 s, what is not after 1 s.

        Raises:
            UndeliverableError: there is not.
            TransientError: the topic is new here, and the broker is out of reach.
        """
        number = partition or 0
        size = self._sizes.get(topic)
        if size is None or self._is_old(size, number):
            size = self._refresh(topic, size)
        if size.partitions == 0:
            raise UndeliverableError(f"there is no topic {topic}")
        if not 0 <= number < size.partitions:
            raise UndeliverableError(
                f"topic {topic} has {size.partitions} partitions, none with number {number}"
            )

    def _is_old(self, size: _Size, number: int) -> bool:
        trusted_s = _TRUSTED_S if number < size.partitions else _DOUBTED_S
        return self._clock_s() - size.asked_at_s > trusted_s

    def _refresh(self, topic: str, known: _Size | None) -> _Size:
        try:
            partitions = self._ask(topic)
        except TransientError:
            # The producer bridges short outages; what was there before is most likely still there.
            if known is None or not known.partitions:
                raise
            partitions = known.partitions
        if len(self._sizes) >= _MAX_TOPICS:
            self._sizes.clear()
        size = self._sizes[topic] = _Size(partitions, self._clock_s())
        return size
