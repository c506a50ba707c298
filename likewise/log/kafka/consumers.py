"""Making kafka-python's consumers: members of a group, and readers outside any."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from likewise.log.kafka.connection import MAX_RECORD_BYTES, Connection
from likewise.log.kafka.fetching import Consumer
from likewise.log.kafka.reading import KafkaReader, native

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from likewise.log.kafka.rebalancing import RebalanceListener
    from likewise.records import TopicPartition

# New partitions are noticed with the next refresh of the metadata; kafka-python's 5 min are long.
_METADATA_MAX_AGE_MS = 10_000
# A group leader that does not know a topic's partitions yet assigns none of them, and may not
# notice later. Brokers report a new topic a moment after they created it.
_METADATA_TIMEOUT_S = 5.0
_METADATA_POLL_S = 0.05
_MAX_FETCH_BYTES = 32 * 1024 * 1024


def member(
    connection: Connection,
    group: str,
    topics: Sequence[str],
    max_records: int,
    listener: RebalanceListener,
) -> Consumer:
    """Return a consumer that joins the group with its first poll.

    Raises:
        TransientError: the cluster cannot be reached.
    """
    settings = connection.settings
    with connection.errors("joining the consumer group"):
        connection.require_reachable()
        consumer = Consumer(
            group_id=connection.group(group),
            max_poll_records=max_records,
            session_timeout_ms=settings.session_timeout_ms,
            heartbeat_interval_ms=settings.heartbeat_interval_ms,
            # A member that sends heartbeats but does not poll delays every rebalance for this
            # long, and is left out of the next one.
            max_poll_interval_ms=int(settings.group_patience_s * 1000),
            metadata_max_age_ms=_METADATA_MAX_AGE_MS,
            **_options(connection),
        )
        consumer.subscribe(topics, listener=listener)
        listener.attach(consumer)
        _await_metadata(consumer, topics)
    return consumer


def reader(
    connection: Connection,
    start: Mapping[TopicPartition, int],
    *,
    kind: type[KafkaReader] = KafkaReader,
    **options: Any,
) -> KafkaReader:
    """Return a reader of these partitions from these offsets; `options` are kafka-python's.

    Raises:
        TransientError: the cluster cannot be reached.
    """
    with connection.errors("reading"):
        connection.require_reachable()
        consumer = Consumer(**{**_options(connection), **options})
        partitions = {native(partition): offset for partition, offset in start.items()}
        consumer.assign(list(partitions))
        for partition, offset in partitions.items():
            consumer.seek(partition, offset)
    return kind(consumer, connection)


def _options(connection: Connection) -> dict[str, Any]:
    return {
        **connection.options,
        "auto_offset_reset": "earliest",
        "enable_auto_commit": False,
        "allow_auto_create_topics": False,
        "metrics_enabled": False,
        "fetch_max_wait_ms": connection.settings.fetch_max_wait_ms,
        # Bounds what a poll holds of each partition, whatever `max_records` is.
        "max_partition_fetch_bytes": MAX_RECORD_BYTES,
        "fetch_max_bytes": _MAX_FETCH_BYTES,
    }


def _await_metadata(consumer: Consumer, topics: Iterable[str]) -> None:
    """Return once the consumer knows its topics' partitions, or after a few seconds without."""
    deadline_s = time.monotonic() + _METADATA_TIMEOUT_S
    for topic in topics:
        while not consumer.partitions_for_topic(topic) and time.monotonic() < deadline_s:
            time.sleep(_METADATA_POLL_S)
