"""Publishes to Kafka; returns once Kafka has confirmed."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from likewise.errors import TransientError
from likewise.messages.events import encode_event, event_key
from likewise.messages.items import encode_item
from likewise.messages.positions import Position
from likewise.service import tracing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Executor

    from gateway.stats import GatewayStats
    from likewise.log.port import Sink
    from likewise.log.topics import Topics
    from likewise.messages.events import Event
    from likewise.messages.ids import ItemId
    from likewise.messages.items import CatalogueItem

_CONFIRMATION_TIMEOUT_S = 30.0
_MAX_IN_FLIGHT = 10_000


class Events:
    """Publishes events and documents. For the loop's thread."""

    def __init__(self, sink: Sink, topics: Topics, executor: Executor, stats: GatewayStats) -> None:
        self._sink = sink
        self._topics = topics
        self._executor = executor
        self._stats = stats
        self._in_flight = 0

    async def publish(self, event: Event, recommendation_id: str | None = None) -> Position:
        """Return the position of the event, once Kafka has it.

        Raises:
            TransientError: Kafka did not confirm it in time; it may be in the log.
            UndeliverableError: Kafka refuses it.
        """
        value = encode_event(event, recommendation_id=recommendation_id)
        return await self._send(self._topics.likes, value, event_key(event))

    async def publish_many(self, events: Sequence[Event]) -> list[Position]:
        """Return the positions of the events, once Kafka has all of them; see `publish`."""
        return list(await asyncio.gather(*map(self.publish, events)))

    async def put_item(self, item: CatalogueItem) -> None:
        """Return once Kafka has the item; see `publish`."""
        await self._send(self._topics.items, encode_item(item), item.item_id.encode())

    async def remove_item(self, item_id: ItemId) -> None:
        """Return once Kafka has the removal; see `publish`."""
        await self._send(self._topics.items, None, item_id.encode())

    async def put_scenario(self, name: str, value: bytes | None) -> None:
        """Return once Kafka has the scenario, or its removal; see `publish`."""
        await self._send(self._topics.scenarios, value, name.encode())

    async def _send(self, topic: str, value: bytes | None, key: bytes) -> Position:
        if self._in_flight >= _MAX_IN_FLIGHT:
            raise TransientError("too many events wait for Kafka").of("kafka")
        self._in_flight += 1
        loop = asyncio.get_running_loop()
        try:
            with tracing.sending(topic) as headers:
                confirmed = partial(self._confirmed, topic, value, key, headers)
                sent = await loop.run_in_executor(self._executor, confirmed)
        finally:
            self._in_flight -= 1
        self._stats.published += 1
        return sent

    def _confirmed(
        self, topic: str, value: bytes | None, key: bytes, headers: tracing.Headers
    ) -> Position:
        sent = self._sink.send(topic, value, key=key, headers=headers)
        return Position(*sent.result(_CONFIRMATION_TIMEOUT_S))
