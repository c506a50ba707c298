"""The state of a deployment, read from its servers without writing or joining a group."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

import msgspec

from likewise.errors import TransientError
from likewise.log.topics import Topics
from likewise.messages.announcements import Announcement, valid_announcement
from likewise.models.place import models_place, version_names
from likewise.operations.experiment_reports import ExperimentSummary, report_on, summary_of
from likewise.operations.experiments import list_experiments
from likewise.operations.list_counts import OutsideExperiments, outside_experiments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from likewise.log.port import Broker
    from likewise.records import TopicPartition
    from likewise.settings import Settings
    from likewise.store.port import LikeStore


class Lag(msgspec.Struct, frozen=True):
    """How far a consumer group is behind the end of its topic."""

    topic: str
    group: str
    partitions: int
    records: int
    """Offsets in the topic: its records, and those that compaction has removed."""
    lag: int
    """Offsets that the group has not committed yet."""
    held_back: int = 0
    """Offsets behind an open transaction, which can't be read before it ends."""


class KafkaStatus(msgspec.Struct, frozen=True):
    """The state of the topics. A topic that does not exist yet counts as empty."""

    likes: Lag
    requests: Lag
    items: Lag
    scenarios: Lag
    experiments: Lag
    dead_letters: int
    gone: int
    """Events that retention has removed from the log, so that Redis can't be rebuilt from it."""
    not_applied: int | None
    """Events that are not applied to Redis yet, by its positions; None without Redis."""


class RedisStatus(msgspec.Struct, frozen=True):
    """The state of Redis."""

    users: int | None
    """None if users and likes were not counted."""
    likes: int | None
    scattered_users: int
    """Users with events on several partitions, which are merged by timestamp."""
    retired_items: int
    items: int
    """Items of the catalogue."""
    scenarios: int
    experiments: list[ExperimentSummary]
    """Those that run, in the order in which they take requests; canaries are among them."""
    outside_experiments: OutsideExperiments | None
    """The lists outside experiments; None if none is counted, and `experiments.lists` is not `all`."""
    changed_users: int
    """Users whose likes have changed since the indexer last read them."""
    model: Announcement | None
    """The current model; None before the first build."""


class ModelStoreStatus(msgspec.Struct, frozen=True):
    """The state of the model store (`model.store`)."""

    url: str
    versions: int
    """Complete versions in it."""
    has_current: bool | None
    """Whether the current model is one of them; None if there is none, or Redis can't be reached."""


class Status(msgspec.Struct, frozen=True):
    """The state of the servers. It is None for one that can't be reached; `unreachable` has the reasons."""

    kafka: KafkaStatus | None
    redis: RedisStatus | None
    unreachable: list[str]
    model_store: ModelStoreStatus | None
    """None without one, too."""


def status_of(
    settings: Settings, broker: Broker, store: LikeStore, *, counts: bool = True
) -> Status:
    """Return the state of the deployment. With `counts`, counts users and likes: O(users).

    Raises:
        SettingsError: a server refuses the credentials.
    """
    unreachable = []
    redis = kafka = None
    try:
        redis = redis_status(
            store,
            chunk=settings.indexer.scan_chunk,
            counts=counts,
            all_lists=settings.experiments.lists == "all",
        )
    except TransientError as error:
        unreachable.append(str(error))
    try:
        kafka = kafka_status(settings, broker, None if redis is None else store)
    except TransientError as error:
        unreachable.append(str(error))
    models = None
    try:
        models = _model_store(settings, None if redis is None else redis.model)
    except TransientError as error:
        unreachable.append(str(error))
    return Status(kafka, redis, unreachable, models)


def kafka_status(settings: Settings, broker: Broker, store: LikeStore | None) -> KafkaStatus:
    """Return the state of the topics, and with a store how far it is behind them.

    Raises:
        TransientError: the brokers or the store can't be reached.
    """
    topics = Topics(settings.kafka.topic_prefix)
    # Read before the ends of the partitions, so that it is never beyond them.
    likes = broker.partitions(topics.likes)
    applied = None if store is None else store.positions(likes)
    return KafkaStatus(
        likes=_lag(broker, topics.likes, settings.consumer.group),
        requests=_lag(broker, topics.requests, settings.serving.group),
        items=_lag(broker, topics.items, settings.consumer.group),
        scenarios=_lag(broker, topics.scenarios, settings.consumer.group),
        experiments=_lag(broker, topics.experiments, settings.consumer.group),
        dead_letters=_records(broker, broker.partitions(topics.dead_letters)),
        gone=sum(broker.beginning_offsets(likes).values()) if likes else 0,
        not_applied=None if applied is None else _behind(broker, likes, applied),
    )


def redis_status(
    store: LikeStore, *, chunk: int, counts: bool = True, all_lists: bool = False
) -> RedisStatus:
    """Return the state of the store; see `status_of`.

    Raises:
        TransientError: it can't be reached.
    """
    users, likes = _counted(store, chunk) if counts else (None, None)
    catalogue = store.catalogue_size()
    lists = outside_experiments(store)  # another process may have other settings
    return RedisStatus(
        users=users,
        likes=likes,
        scattered_users=store.scattered_count(),
        retired_items=len(store.retired()[1]),
        items=catalogue.items,
        scenarios=catalogue.scenarios,
        experiments=_running(store) if catalogue.experiments else [],
        outside_experiments=lists if all_lists or lists.total.lists else None,
        changed_users=store.changed_count(),
        model=valid_announcement(store.model_announcement()),
    )


def _model_store(settings: Settings, current: Announcement | None) -> ModelStoreStatus | None:
    """Return the state of the model store; None without one.

    Raises:
        ModelStoreError: it can't be reached, or refuses.
    """
    if not settings.model.store:
        return None
    place = models_place(settings)
    names = version_names(place)
    has_current = None if current is None else current.version in names
    return ModelStoreStatus(str(place), len(names), has_current)


def _running(store: LikeStore) -> list[ExperimentSummary]:
    running = [one for one in list_experiments(store) if one.stopped_at_ms is None]
    return [summary_of(one, report_on(store, one)) for one in running]


def _counted(store: LikeStore, chunk: int) -> tuple[int, int]:
    """Return how many users there are, and how many likes. Takes 8 bytes a user."""
    hashes = array("q")
    likes = 0
    for some in store.scan_users(chunk):
        hashes.extend(map(hash, some))
        likes += store.count_likes(some)
    if _distinct(hashes) == len(hashes):
        return len(hashes), likes
    # The scan has named a user twice, which happens while Redis resizes its table.
    users = list({user for some in store.scan_users(chunk) for user in some})
    starts = range(0, len(users), chunk)
    return len(users), sum(store.count_likes(users[at : at + chunk]) for at in starts)


def _distinct(hashes: array[int]) -> int:
    import numpy as np

    ordered = np.frombuffer(hashes, np.int64)
    ordered.sort()  # in place, without a copy
    return int(np.count_nonzero(ordered[1:] != ordered[:-1])) + min(len(ordered), 1)


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
    """Return how many records follow the positions reached; None counts from the beginning."""
    if not partitions:
        return 0
    ends = broker.end_offsets(partitions)
    beginnings = broker.beginning_offsets(partitions)
    return sum(
        max(ends[partition] - max(at or 0, beginnings[partition]), 0)
        for partition, at in zip(partitions, reached, strict=True)
    )
