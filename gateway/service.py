"""The gateway as a service: wait for the servers and a model, then answer HTTP until the stop."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, TypeVar

from gateway.http_server import bind, serve
from gateway.security.guard import Guard
from gateway.stats import GatewayStats
from likewise.log.topics import Topics
from likewise.models.place import models_place, stats_of
from likewise.retry import StoppedError, retry
from likewise.service.logs import get_logger
from likewise.service.loop import log_retry
from likewise.service.topic_creation import create_topics
from serving.catalogue_follower import CatalogueFollower

if TYPE_CHECKING:
    import socket
    import threading
    from collections.abc import Callable

    from likewise.log.port import Broker
    from likewise.settings import Settings
    from likewise.store.port import LikeStore

T = TypeVar("T")


def run_gateway(
    settings: Settings,
    broker: Broker,
    store: LikeStore,
    stop: threading.Event,
    *,
    stats: GatewayStats | None = None,
) -> None:
    """Answer HTTP requests until `stop` is set. Waits for servers that are not up yet.

    Connections are refused until there is a model and all of the catalogue is loaded. `stats` is kept
    up to date. Broker and store stay open: they belong to the caller.

    Raises:
        SettingsError: a server refuses our credentials, a topic is missing and may not be created,
            the port is taken, or the address is public and there are no keys.
        ForeignDataError: Redis holds something else under our keys.
    """
    stats = stats or GatewayStats()

    Guard.of(settings.gateway)  # a setting that cannot be used is refused before anything connects
    with bind(settings.gateway) as bound:
        try:
            if settings.kafka.create_topics:
                topics = Topics(settings.kafka.topic_prefix)
                partitions = settings.kafka.partitions
                _persist(lambda: create_topics(broker, topics, partitions), stop)
            _answer(settings, broker, store, stop, stats, bound)
        except StoppedError:
            get_logger().info("stopped before there was a model")


def _answer(
    settings: Settings,
    broker: Broker,
    store: LikeStore,
    stop: threading.Event,
    stats: GatewayStats,
    bound: socket.socket,
) -> None:
    # NumPy is imported with these, which takes as long as everything before.
    from gateway.composition import gateway_of
    from likewise.models.holder import ModelHolder, wait_for_first_model

    place = models_place(settings)
    stats.model_store = stats_of(place)
    catalogue = CatalogueFollower(store, stop, stats.catalogue)
    models = ModelHolder(place, wait_for_first_model(place, store, stop))
    with closing(models):
        catalogue.load()
        with (
            closing(_persist(broker.sink, stop)) as sink,
            gateway_of(settings, broker, store, sink, models, catalogue, stats) as gateway,
        ):
            serve(gateway, bound, stop)


def _persist(attempt: Callable[[], T], stop: threading.Event) -> T:
    return retry(attempt, stop=stop, on_failure=log_retry)
