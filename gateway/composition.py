"""Puts a gateway together from what a service runs on."""

from __future__ import annotations

import asyncio
import gc
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from threadpoolctl import threadpool_limits

from gateway.applied import AppliedPositions
from gateway.gateway import Gateway
from gateway.measures import METRICS
from gateway.publishing import Events
from gateway.ranking import Answers, RankingPorts
from gateway.security.guard import Guard
from likewise.log.topic_listing import TopicListing
from likewise.log.topics import Topics
from likewise.models.place import models_place
from likewise.service.clock import now_ms
from likewise.service.monitoring.pages import pages
from serving.alternatives import Alternatives
from serving.impressions import Impressions
from serving.new_items import NewItems
from serving.store_view import StoreView
from serving.taste import kinds_that_count
from serving.variant_models import VariantModels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gateway.stats import GatewayStats
    from likewise.log.port import Broker, Sink
    from likewise.models.holder import ModelHolder
    from likewise.settings import Settings
    from likewise.store.port import LikeStore
    from serving.catalogue_follower import CatalogueFollower

_THREADS_FOR_BLOCKING_CALLS = 8
LONGEST_SILENCE_S = 60.0
# How long a thread that ranks may keep the interpreter from the event loop. At 1 ms the gateway answers more
# requests than at Python's default of 5 ms, where the loop waits, and at 0.2 ms, where threads mostly switch.
_SWITCH_INTERVAL_S = 0.001
_OBJECTS_BEFORE_A_SEARCH = 100_000


@contextmanager
def gateway_of(
    settings: Settings,
    broker: Broker,
    store: LikeStore,
    sink: Sink,
    models: ModelHolder,
    catalogue: CatalogueFollower,
    stats: GatewayStats,
    clock_ms: Callable[[], int] = now_ms,
) -> Iterator[Gateway]:
    """Yield a gateway whose threads run during the `with` block; what is given stays open.

    At the end, what was accepted is answered, published and recorded.
    """
    topics = Topics(settings.kafka.topic_prefix)
    ports = _ranking_ports(settings, broker, store, models, catalogue, stats)
    alternatives = Alternatives(models_place(settings))
    with (
        # The threads that rank share a batch. Those of BLAS would spin, waiting for each other.
        threadpool_limits(1, "blas"),
        _switching_often(),
        ThreadPoolExecutor(settings.gateway.threads, "ranking") as ranking,
        ThreadPoolExecutor(_THREADS_FOR_BLOCKING_CALLS, "blocking") as blocking,
    ):
        events = Events(sink, topics, stats)
        answers = Answers(ports, alternatives, ranking, settings, stats, events.expose, clock_ms)
        gateway = Gateway(
            settings=settings,
            answers=answers,
            events=events,
            applied=AppliedPositions(store, topics, blocking),
            store=store,
            broker=broker,
            models=models,
            alternatives=alternatives,
            catalogue=catalogue,
            topics=topics,
            stats=stats,
            stop=asyncio.Event(),
            security=Guard.of(settings.gateway),
            executor=blocking,
            pages=pages(METRICS, stats, LONGEST_SILENCE_S),
        )
        with (
            ports.impressions.writing(),
            ports.new_items.following(),
            catalogue.following(),
            ports.variants.following(),
            events.publishing(),
            answers.answering(),
            closing(gateway.slow),
            _searching_little_for_garbage(),
        ):
            yield gateway


@contextmanager
def _switching_often() -> Iterator[None]:
    """Let threads take turns at the interpreter after `_SWITCH_INTERVAL_S` during a `with` block."""
    before_s = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    try:
        yield
    finally:
        sys.setswitchinterval(before_s)


@contextmanager
def _searching_little_for_garbage() -> Iterator[None]:
    """Take what there is now for lasting, and search for cycles seldom, during a `with` block.

    A batch makes thousands of objects, and hardly any cycle. Searching takes a twentieth of the time of an answer
    at Python's thresholds.
    """
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(_OBJECTS_BEFORE_A_SEARCH, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _ranking_ports(
    settings: Settings,
    broker: Broker,
    store: LikeStore,
    models: ModelHolder,
    catalogue: CatalogueFollower,
    stats: GatewayStats,
) -> RankingPorts:
    likes = Topics(settings.kafka.topic_prefix).likes
    kinds = kinds_that_count(settings.signals.weights)
    return RankingPorts(
        StoreView(store, TopicListing(broker.topic_sizes), likes, kinds),
        models,
        Impressions(store, settings.impressions, stats),
        NewItems(store, models, settings.serving.new_item_likes, stats),
        catalogue,
        VariantModels(models_place(settings), catalogue, models),
    )
