"""The state of a deployment in Kafka, read once a second with few requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from likewise.log.port import Broker
    from likewise.log.topics import Topics
    from likewise.records import TopicPartition

_REFRESH_S = 10.0


class KafkaSeen(NamedTuple):
    """One look at Kafka."""

    at_s: float
    likes: Mapping[TopicPartition, tuple[int, int]]
    """Where each partition of the likes topic begins and ends."""
    requests: int
    """The end of the requests topic, over all partitions."""
    answered: int
    """How far servers have committed it."""
    dead_letters: int
    """The end of the topic of dead letters."""

    @property
    def events(self) -> int:
        """The end of the likes topic, over all partitions."""
        return sum(end for _, end in self.likes.values())


class KafkaView:
    """Looks at the topics of a deployment. Blocks; one look at a time."""

    def __init__(self, broker: Broker, topics: Topics, serving_group: str) -> None:
        self._broker = broker
        self._topics = topics
        self._group = serving_group
        self._refreshed_s = float("-inf")
        self._likes: list[TopicPartition] = []
        self._requests: list[TopicPartition] = []
        self._dead_letters: list[TopicPartition] = []
        self._beginnings: Mapping[TopicPartition, int] = {}

    def look(self, now_s: float) -> KafkaSeen:
        """Return what there is now.

        Raises:
            TransientError: the broker cannot be reached.
        """
        if now_s - self._refreshed_s >= _REFRESH_S:
            self._refresh()
            self._refreshed_s = now_s
        asked = [*self._likes, *self._requests, *self._dead_letters]
        ends = self._broker.end_offsets(asked) if asked else {}
        committed = self._broker.committed(self._group, self._requests) if self._requests else {}
        return KafkaSeen(
            now_s,
            {one: (self._beginnings[one], ends[one]) for one in self._likes},
            sum(ends[one] for one in self._requests),
            sum(max(committed[one] or 0, self._beginnings[one]) for one in self._requests),
            sum(ends[one] for one in self._dead_letters),
        )

    def _refresh(self) -> None:
        self._likes = self._broker.partitions(self._topics.likes)
        self._requests = self._broker.partitions(self._topics.requests)
        self._dead_letters = self._broker.partitions(self._topics.dead_letters)
        asked = [*self._likes, *self._requests]
        self._beginnings = self._broker.beginning_offsets(asked) if asked else {}
