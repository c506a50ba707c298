"""The points at which the harness kills a service, each between two steps of its work."""

from __future__ import annotations

from typing import NamedTuple


class CrashPoint(NamedTuple):
    """A call in a service: the process dies just before it, or just after it returned."""

    name: str
    service: str
    call: str
    """`module:attribute.path` of the function."""
    before: bool


CRASH_POINTS = [
    CrashPoint(
        "before the Redis write", "consumers", "likewise.store.redis:RedisStore.apply", True
    ),
    CrashPoint(
        "between the Redis write and the commit",
        "consumers",
        "likewise.store.redis:RedisStore.apply",
        False,
    ),
    CrashPoint(
        "after the commit",
        "consumers",
        "likewise.log.kafka.reading:KafkaSource.commit",
        False,
    ),
    CrashPoint(
        "after the changed users are taken, before the build",
        "indexer",
        "likewise.store.redis:RedisStore.take_changed",
        False,
    ),
    CrashPoint(
        "between two of a model's files", "indexer", "likewise.models.tables:save_array", False
    ),
    CrashPoint("before a model is durable", "indexer", "likewise.models.files:fsync", True),
    CrashPoint(
        "between a model's rename and its announcement",
        "indexer",
        "indexer.cycle:write_model",
        False,
    ),
    CrashPoint(
        "between the announcement in Redis and on the topic",
        "indexer",
        "likewise.store.redis:RedisStore.announce_model",
        False,
    ),
    CrashPoint(
        "after a request is read, before its look-up",
        "serving",
        "likewise.store.redis:RedisStore.lookup",
        True,
    ),
    CrashPoint(
        "after replies are queued, before they are confirmed",
        "serving",
        "likewise.log.kafka.sending:KafkaSink.send",
        False,
    ),
    CrashPoint(
        "between a reply and the commit",
        "serving",
        "likewise.log.kafka.reading:KafkaSource.commit",
        True,
    ),
]
