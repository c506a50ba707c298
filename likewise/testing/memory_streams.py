"""Reading partitions and sending records in memory, outside any group."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likewise.testing.memory_log import Cursor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from likewise.records import Record, Span, TopicPartition
    from likewise.testing.memory_cluster import MemoryCluster

_READER_MAX_RECORDS = 500


class MemoryReader:
    """A `likewise.log.port.LogReader`."""

    def __init__(self, cluster: MemoryCluster, start: Mapping[TopicPartition, int]) -> None:
        self._cluster = cluster
        self._cursor = Cursor(cluster.logs)
        self._cursor.offsets.update(start)

    def poll(self, timeout_ms: int) -> list[Record]:
        """See `LogReader.poll`."""
        with self._cluster.answering("poll"):
            return self._cluster.wait_for(self._next_records, timeout_ms)

    def spans(self) -> dict[TopicPartition, Span]:
        """See `LogReader.spans`."""
        return dict(self._cursor.spans)

    def close(self) -> None:
        """See `LogReader.close`."""

    def _next_records(self) -> list[Record]:
        return self._cursor.take(_READER_MAX_RECORDS)


class MemorySink:
    """A `likewise.log.port.Sink` that delivers at once."""

    def __init__(self, cluster: MemoryCluster) -> None:
        self._cluster = cluster

    def send(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Sequence[tuple[str, bytes]] = (),
        partition: int | None = None,
    ) -> MemoryDelivery:
        """See `Sink.send`."""
        with self._cluster.answering("send"):
            chosen = self._cluster.choose_partition(topic, key, partition)
            offset = self._cluster.append(chosen, key, value, headers)
        return MemoryDelivery(self._cluster, chosen.partition, offset)

    def flush(self, timeout_s: float) -> None:
        """See `Sink.flush`."""
        with self._cluster.answering("deliver"):
            return

    def close(self) -> None:
        """See `Sink.close`."""


class MemoryDelivery:
    """A `likewise.log.port.Delivery` of a record that is in the log."""

    def __init__(self, cluster: MemoryCluster, partition: int, offset: int) -> None:
        self._cluster = cluster
        self._delivered = partition, offset

    def result(self, timeout_s: float) -> tuple[int, int]:
        """See `Delivery.result`."""
        with self._cluster.answering("deliver"):
            return self._delivered

    def add_done_callback(self, callback: Callable[[], None]) -> None:
        """See `Delivery.add_done_callback`."""
        callback()
