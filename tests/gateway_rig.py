"""A gateway over fakes, called in process, with a block model whose answers are known.

    async def story(rig: GatewayRig) -> None:
        answer = await rig.client.get("/v1/users/ann/recommendations")

    on_rig(tmp_path, story)

`rig.broker` and `rig.store` are the fakes; `rig.apply()` does what a consumer does.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import msgspec

from gateway.app import App
from gateway.composition import gateway_of
from gateway.endpoints import ENDPOINTS
from gateway.stats import GatewayStats
from gateway.traced import traced
from likewise.log.topics import Topics
from likewise.messages.event_decoding import decode_event
from likewise.messages.events import Like, Unlike
from likewise.models.holder import ModelHolder, load_model
from likewise.records import TopicPartition
from likewise.service.clock import now_ms
from likewise.settings import Settings
from likewise.store.port import Advance, Changes, UserChange
from likewise.testing import MemoryBroker, MemoryStore
from serving.catalogue_follower import CatalogueFollower
from tests.serving_rig import BLOCKS, VERSION, write_block_model

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
    from pathlib import Path

    from gateway.endpoint import Endpoint
    from gateway.gateway import Gateway

_TIMEOUT_S = 60


@dataclass
class GatewayRig:
    """A gateway in memory and a client of it."""

    gateway: Gateway
    broker: MemoryBroker
    store: MemoryStore
    client: httpx.AsyncClient

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


def on_rig(directory: Path, story: Callable[[GatewayRig], Awaitable[None]], **how: Any) -> None:
    """Run a story on a gateway; `how` is as for `gateway_rig`."""

    async def run() -> None:
        async with asyncio.timeout(_TIMEOUT_S), gateway_rig(directory, **how) as rig:
            await story(rig)

    asyncio.run(run())


@asynccontextmanager
async def gateway_rig(
    directory: Path,
    settings: Settings | None = None,
    *,
    endpoints: Iterable[Endpoint] = ENDPOINTS,
    store: MemoryStore | None = None,
    broker: MemoryBroker | None = None,
    user_ids: bool = False,
    clock_ms: Callable[[], int] = now_ms,
) -> AsyncIterator[GatewayRig]:
    """Yield a gateway that answers, with a model of blocks (see `tests.serving_rig`) and no likes."""
    settings, topics, stats = settings or Settings(), Topics(), GatewayStats()
    settings = msgspec.structs.replace(
        settings, model=msgspec.structs.replace(settings.model, directory=directory)
    )
    broker, store = broker or MemoryBroker(), store or MemoryStore()
    broker.ensure_topics(topics.specs(partitions=3))
    write_block_model(directory, VERSION, blocks=BLOCKS, user_ids=user_ids)
    catalogue = CatalogueFollower(store, threading.Event(), stats.catalogue)
    catalogue.load()
    with (
        closing(ModelHolder(directory, load_model(directory, VERSION))) as models,
        closing(broker.sink()) as sink,
        gateway_of(settings, broker, store, sink, models, catalogue, stats, clock_ms) as gateway,
    ):
        transport = httpx.ASGITransport(traced(App(gateway, endpoints)))
        async with httpx.AsyncClient(
            transport=transport, base_url="http://127.0.0.1:8080"
        ) as client:
            yield GatewayRig(gateway, broker, store, client)
        gateway.stop.set()
