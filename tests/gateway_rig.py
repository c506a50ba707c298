"""A gateway over fakes, called in process, with a block model whose answers are known.

    async with gateway_rig(tmp_path) as rig:
        answer = await rig.client.get("/v1/users/ann/recommendations")

`rig.broker` and `rig.store` are the fakes; `rig.apply()` does what a consumer does.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

from gateway.app import App
from gateway.endpoints import ENDPOINTS
from gateway.gateway import Gateway
from gateway.publishing import Events
from gateway.ranking import Answers, RankingPorts
from gateway.security.guard import Guard
from gateway.stats import GatewayStats
from gateway.traced import traced
from likewise.log.topic_listing import TopicListing
from likewise.log.topics import Topics
from likewise.messages.event_decoding import decode_event
from likewise.messages.events import Like, Unlike
from likewise.models.holder import ModelHolder, load_model
from likewise.records import TopicPartition
from likewise.settings import Settings
from likewise.store.port import Advance, Changes, UserChange
from likewise.testing import MemoryBroker, MemoryStore
from serving.catalogue_follower import CatalogueFollower
from serving.impressions import Impressions
from serving.new_items import NewItems
from serving.store_view import StoreView
from serving.taste import kinds_that_count
from tests.serving_rig import BLOCKS, VERSION, write_block_model

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

    from gateway.endpoint import Endpoint


@dataclass
class GatewayRig:
    """A gateway in memory and a client of it."""

    gateway: Gateway
    broker: MemoryBroker
    store: MemoryStore
    client: httpx.AsyncClient
    impressions: Impressions

    def apply(self) -> None:
        """Apply the likes and unlikes on the topic, as a consumer does."""
        topic = self.gateway.topics.likes
        for partition in self.broker.partitions(topic):
            [applied] = self.store.positions([partition])
            for record in self.broker.records(topic):
                if record.partition != partition.partition or record.offset < (applied or 0):
                    continue
                event = decode_event(record)
                changes = Changes()
                if isinstance(event, Like):
                    changes.users[event.user_id] = UserChange(add={event.item_id})
                elif isinstance(event, Unlike):
                    changes.users[event.user_id] = UserChange(remove={event.item_id})
                at = TopicPartition(topic, partition.partition)
                self.store.apply(changes, {at: Advance(applied, record.offset + 1)})
                applied = record.offset + 1


@asynccontextmanager
async def gateway_rig(
    directory: Path,
    settings: Settings | None = None,
    *,
    endpoints: Iterable[Endpoint] = ENDPOINTS,
    store: MemoryStore | None = None,
    broker: MemoryBroker | None = None,
    user_ids: bool = False,
) -> AsyncIterator[GatewayRig]:
    """Yield a gateway that answers, with a model of blocks (see `tests.serving_rig`) and no likes."""
    settings, topics, stats = settings or Settings(), Topics(), GatewayStats()
    broker, store = broker or MemoryBroker(), store or MemoryStore()
    broker.ensure_topics(topics.specs(partitions=3))
    write_block_model(directory, VERSION, blocks=BLOCKS, user_ids=user_ids)
    models = ModelHolder(directory, load_model(directory, VERSION))
    stop = threading.Event()
    catalogue = CatalogueFollower(store, stop, stats.catalogue)
    catalogue.load()
    impressions = Impressions(store, settings.impressions, stats)
    ports = RankingPorts(
        StoreView(
            store,
            TopicListing(broker.topic_sizes),
            topics.likes,
            kinds_that_count(settings.signals.weights),
        ),
        models,
        impressions,
        NewItems(store, models, settings.serving.new_item_likes, stats),
        catalogue,
    )
    with ThreadPoolExecutor(2) as ranking, ThreadPoolExecutor(4) as executor:
        answers = Answers(ports, ranking, settings, stats)
        gateway = Gateway(
            settings=settings,
            answers=answers,
            events=Events(broker.sink(), topics, executor, stats),
            store=store,
            broker=broker,
            models=models,
            catalogue=catalogue,
            topics=topics,
            stats=stats,
            stop=asyncio.Event(),
            security=Guard.of(settings.gateway),
            executor=executor,
        )
        transport = httpx.ASGITransport(traced(App(gateway, endpoints)), raise_app_exceptions=True)
        try:
            with answers.answering():
                async with httpx.AsyncClient(
                    transport=transport, base_url="http://127.0.0.1:8080"
                ) as client:
                    yield GatewayRig(gateway, broker, store, client, impressions)
        finally:
            gateway.stop.set()
            models.close()
