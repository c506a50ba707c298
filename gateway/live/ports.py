"""What ticks are made from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio

    from gateway.stats import GatewayStats
    from likewise.log.port import Broker
    from likewise.log.topics import Topics
    from likewise.models.holder import ModelHolder
    from likewise.settings import Settings
    from likewise.store.port import LikeStore


class LivePorts(Protocol):
    """The ports of a gateway that the live view uses."""

    settings: Settings
    broker: Broker
    store: LikeStore
    topics: Topics
    models: ModelHolder
    stats: GatewayStats
    stop: asyncio.Event
