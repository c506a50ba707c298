"""Chooses a record's partition by the setting `kafka.partitioner`, so that all clients can agree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kafka.partitioner import DefaultPartitioner

from likewise.log.partitioners import partition_of

if TYPE_CHECKING:
    from likewise.settings import Partitioner


class KeyPartitioner(DefaultPartitioner):  # type: ignore[misc]  # kafka-python has no types
    """Sends equal keys to one partition, and records without a key to any."""

    def __init__(self, partitioner: Partitioner) -> None:
        self._partitioner = partitioner

    def partition(self, topic: str, key: Any, serialized_key: bytes | None, *rest: Any) -> int:
        """Return the partition; called by kafka-python."""
        numbers = rest[-1].partitions_for_topic(topic)
        if serialized_key is None or not numbers:  # kafka-python raises for the latter
            return int(super().partition(topic, key, serialized_key, *rest))
        return int(sorted(numbers)[partition_of(self._partitioner, serialized_key, len(numbers))])
