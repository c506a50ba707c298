"""The server as a service: wait for a model, join the group, answer until the stop."""

from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, TypeVar

from likewise.log.topic_listing import TopicListing
from likewise.log.topics import Topics
from likewise.models.place import models_place, stats_of
from likewise.retry import StoppedError, retry
from likewise.service.loop import GroupMember, log_retry
from likewise.service.stall_detector import StallDetector
from likewise.service.store_watch import StoreWatch
from likewise.service.topic_creation import create_topics
from serving.catalogue_follower import CatalogueFollower
from serving.first_model import join_with_model
from serving.impressions import Impressions
from serving.lost_requests import LostRequests
from serving.new_items import NewItems
from serving.ports import Ports
from serving.reply_topics import ReplyTopics
from serving.stats import ServingStats
from serving.store_view import StoreView
from serving.taste import kinds_that_count

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable

    from likewise.log.port import Broker, Source
    from likewise.models.holder import ModelHolder
    from likewise.records import TopicPartition
    from likewise.settings import Settings
    from likewise.store.port import LikeStore
    from serving.variant_models import VariantModels

T = TypeVar("T")

# A requester waits for each answer, so the first call after an outage must come soon.
LONGEST_RETRY_S = 2.0


def run_server(
    settings: Settings,
    broker: Broker,
    store: LikeStore,
    stop: threading.Event,
    *,
    stats: ServingStats | None = None,
) -> None:
    """Answer requests until `stop` is set. Waits for servers that are not up yet.

    The group is joined once there is a model and all of the catalogue is loaded; until then requests
    wait in the topic. `stats` is updated meanwhile. Broker and store stay open: they belong to the
    caller.

    Raises:
        SettingsError: a server refuses our credentials, a topic is missing and may not be created,
            or the reply topic pattern is not a regular expression.
        ForeignDataError: Redis holds something else under our keys.
    """
    stats = stats or ServingStats()
    topics = Topics(settings.kafka.topic_prefix)
    listing = TopicListing(broker.topic_sizes)
    reply_topics = ReplyTopics(listing, topics, settings.serving.reply_topic_pattern)

    def persist(attempt: Callable[[], T], while_waiting: Callable[[], None] = lambda: None) -> T:
        return retry(attempt, stop=stop, on_failure=log_retry, while_waiting=while_waiting)

    def join() -> Source:
        group, batch = settings.serving.group, settings.serving.max_batch
        return persist(lambda: broker.source(group, [topics.requests], max_records=batch))

    try:
        if settings.kafka.create_topics:
            persist(lambda: create_topics(broker, topics, settings.kafka.partitions))
        catalogue = CatalogueFollower(store, stop, stats.catalogue)
        place = models_place(settings)
        stats.model_store = stats_of(place)
        source, models = join_with_model(join, place, store, catalogue, stop)
        with (
            closing(source),
            closing(models),
            closing(persist(broker.sink, source.keep_alive)) as sink,
        ):
            ports = Ports(
                source,
                _member(settings, broker, store, source, stats, stop),
                sink,
                StoreView(store, listing, topics.likes, kinds_that_count(settings.signals.weights)),
                models,
                reply_topics,
                LostRequests(broker),
                Impressions(store, settings.impressions, stats),
                NewItems(store, models, settings.serving.new_item_likes, stats),
                catalogue,
                _variant_models(settings, catalogue, models),
            )
            _run_worker(ports, topics, settings, stop, stats)
    except StoppedError:
        return


def _member(
    settings: Settings,
    broker: Broker,
    store: LikeStore,
    source: Source,
    stats: ServingStats,
    stop: threading.Event,
) -> GroupMember:
    detector = _stall_detector(settings, broker, Topics(settings.kafka.topic_prefix))
    watch = StoreWatch(store, stats.keeping)
    return GroupMember(source, detector, watch, stats, stop, longest_retry_s=LONGEST_RETRY_S)


def _variant_models(
    settings: Settings, catalogue: CatalogueFollower, models: ModelHolder
) -> VariantModels:
    # Imported only now: it imports NumPy, which was imported while the group was joined.
    from serving.variant_models import VariantModels

    return VariantModels(models_place(settings), catalogue, models)


def _run_worker(
    ports: Ports,
    topics: Topics,
    settings: Settings,
    stop: threading.Event,
    stats: ServingStats,
) -> None:
    # Imported only now: NumPy was imported while the group was joined.
    from threadpoolctl import threadpool_limits

    from serving.worker import ServingWorker

    threads = settings.serving.threads
    # These threads share a batch. Those of BLAS would spin, waiting for each other.
    with (
        threadpool_limits(1, "blas"),
        ThreadPoolExecutor(threads, "ranking") as executor,
        ports.impressions.writing(),
        ports.new_items.following(),
        ports.catalogue.following(),
        ports.variants.following(),
    ):
        worker = ServingWorker(ports, executor, topics, settings, stop=stop, stats=stats)
        # These objects stay. Searching them for garbage took a twentieth of the time.
        gc.freeze()
        worker.run()


def _stall_detector(settings: Settings, broker: Broker, topics: Topics) -> StallDetector:
    def reached(partitions: list[TopicPartition]) -> Iterable[int | None]:
        committed = broker.committed(settings.serving.group, partitions)
        return [committed[partition] for partition in partitions]

    return StallDetector(
        broker, (topics.requests,), reached, patience_s=settings.kafka.group_patience_s
    )
