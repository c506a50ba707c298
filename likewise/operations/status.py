"""How a deployment is, read off its servers: nothing is written, no group is joined."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from likewise.errors import ModelFileError, TransientError
from likewise.log.topics import Topics
from likewise.messages.announcements import Announcement, decode_announcement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from likewise.log.port import Broker
    from likewise.messages.ids import UserId
    from likewise.records import TopicPartition
    from likewise.settings import Settings
    from likewise.store.port import LikeStore


class Lag(msgspec.Struct, frozen=True):
    """How far a group is behind the end of its topic."""

    topic: str
    group: str
    partitions: int
    records: int
    """Records in the topic now."""
    lag: int
    """Records that the group has not committed."""
    held_back: int = 0
    """Offsets after those that can't be read before an open transaction has ended."""


class KafkaStatus(msgspec.Struct, frozen=True):
    """What the brokers say. Topics that do not exist yet are empty ones."""

    likes: Lag
    requests: Lag
    dead_letters: int
    gone: int
    """Events that retention has removed from the log, from which Redis can't be rebuilt any more."""
    not_applied: int | None
    """Likes that Redis does not hold yet, by the positions in it; None without Redis."""


class RedisStatus(msgspec.Struct, frozen=True):
    """What Redis says."""

    users: int
    likes: int
    retired_items: int
    changed_users: int
    """Users whose likes changed since the indexer last read them."""
    model: Announcement | None
    """The current model; None before the first."""


class Status(msgspec.Struct, frozen=True):
    """What was found; a part whose server is out of reach is None, and `unreachable` says why."""

    kafka: KafkaStatus | None
    redis: RedisStatus | None
    unreachable: list[str]


def status_of(settings: Settings, broker: Broker, store: LikeStore) -> Status:
    """Return how the deployment is. Counts users and likes one by one: O(users).

    Raises:
        SettingsError: a server refuses our credentials.
    """
    unreachable = []
    redis = kafka = None
    try:
        redis = redis_status(store, chunk=settings.indexer.scan_chunk)
    except TransientError as error:
        unreachable.append(str(error))
    try:
        kafka = kafka_status(settings, broker, None if redis is None else store)
    except TransientError as error:
        unreachable.append(str(error))
    return Status(kafka, redis, unreachable)


def kafka_status(settings: Settings, broker: Broker, store: LikeStore | None) -> KafkaStatus:
    """Return what the brokers say, and with a store how far it is behind them.

    Raises:
        TransientError: the brokers, or the store, are out of reach.
    """
    topics = Topics(settings.kafka.topic_prefix)
    # Before the ends are asked for: what is applied is never beyond them.
    likes = broker.partitions(topics.likes)
    applied = None if store is None else store.positions(likes)
    return KafkaStatus(
        likes=_lag(broker, topics.likes, settings.consumer.group),
        requests=_lag(broker, topics.requests, settings.serving.group),
        dead_letters=_records(broker, broker.partitions(topics.dead_letters)),
        gone=sum(broker.beginning_offsets(likes).values()) if likes else 0,
        not_applied=None if applied is None else _behind(broker, likes, applied),
    )


def redis_status(store: LikeStore, *, chunk: int) -> RedisStatus:
    """Return what the store says.

    Raises:
        TransientError: it is out of reach.
    """
    users: set[UserId] = set()
    likes = 0
    for some in store.scan_users(chunk):
        new = set(some) - users  # a scan may name a user twice
        users |= new
        likes += store.count_likes(list(new))
    return RedisStatus(
        users=len(users),
        likes=likes,
        retired_items=len(store.retired()[1]),
        changed_users=store.changed_count(),
        model=_current_model(store),
    )


def _lag(broker: Broker, topic: str, group: str) -> Lag:
    partitions = broker.partitions(topic)
    committed = broker.committed(group, partitions) if partitions else {}
    return Lag(
        topic=topic,
        group=group,
        partitions=len(partitions),
        records=_records(broker, partitions),
        lag=_behind(broker, partitions, [committed[partition] for partition in partitions]),
        held_back=sum(broker.held_back(partitions).values()),
    )


def _records(broker: Broker, partitions: Sequence[TopicPartition]) -> int:
    if not partitions:
        return 0
    ends = broker.end_offsets(partitions)
    beginnings = broker.beginning_offsets(partitions)
    return sum(ends[partition] - beginnings[partition] for partition in partitions)


def _behind(
    broker: Broker, partitions: Sequence[TopicPartition], reached: Sequence[int | None]
) -> int:
    """Return how many records come after those reached; None counts from the beginning."""
    if not partitions:
        return 0
    ends = broker.end_offsets(partitions)
    beginnings = broker.beginning_offsets(partitions)
    return sum(
        max(ends[partition] - max(at or 0, beginnings[partition]), 0)
        for partition, at in zip(partitions, reached, strict=True)
    )


def _current_model(store: LikeStore) -> Announcement | None:
    raw = store.model_announcement()
    if raw is None:
        return None
    try:
        return decode_announcement(raw)
    except ModelFileError:
        return None
