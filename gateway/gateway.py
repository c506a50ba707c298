"""What a running gateway is connected to: the ports that endpoints use."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from gateway.item_search import ItemSearch
from gateway.slow import SlowCalls

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Executor

    from gateway.applied import AppliedPositions
    from gateway.live.broadcast import Live
    from gateway.publishing import Events
    from gateway.ranking import Answers
    from gateway.security.guard import Guard
    from gateway.stats import GatewayStats
    from likewise.log.port import Broker
    from likewise.log.topics import Topics
    from likewise.models.holder import ModelHolder
    from likewise.service.monitoring.http import Page
    from likewise.settings import Settings
    from likewise.store.port import LikeStore
    from serving.alternatives import Alternatives
    from serving.catalogue_follower import CatalogueFollower

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(slots=True, kw_only=True)
class Gateway:
    """The ports of a running gateway. The caller that opened them closes them."""

    settings: Settings
    answers: Answers
    events: Events
    applied: AppliedPositions
    store: LikeStore
    """It blocks: call it through `run`."""
    broker: Broker
    """It blocks: call it through `run`."""
    models: ModelHolder
    alternatives: Alternatives
    """The rankers next to the current model."""
    catalogue: CatalogueFollower
    topics: Topics
    stats: GatewayStats
    stop: asyncio.Event
    """Set when the gateway stops: endless answers end then."""
    security: Guard
    executor: Executor
    """A few threads for calls that block."""
    pages: Mapping[str, Callable[[], Page]]
    """The answers of `/healthz`, `/readyz` and `/metrics`."""
    search: ItemSearch = field(default_factory=ItemSearch)
    slow: SlowCalls = field(default_factory=SlowCalls)
    """A few threads for calls that take seconds."""
    live: Live | None = None
    """What `/v1/live` sends; None before its first client."""

    async def run(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what a blocking call returns, without blocking the loop."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.executor, partial(call, *args, **kwargs))
