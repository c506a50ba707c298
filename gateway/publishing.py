"""Publishes to Kafka without blocking the loop; returns once Kafka has confirmed.

One thread hands records to the producer, which may block while Kafka cannot be reached. So records of
one key stay in the order in which they were published.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from contextlib import contextmanager, suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING, NamedTuple

from gateway.problem import Problem
from likewise.errors import LikewiseError, ReplyError, TransientError
from likewise.messages.events import encode_event, event_key
from likewise.messages.exposures import Exposure
from likewise.messages.items import encode_item
from likewise.messages.positions import Position
from likewise.service import tracing
from likewise.service.logs import get_logger
from serving.exposing import ExposureTopic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gateway.stats import GatewayStats
    from likewise.log.port import Delivery, Sink
    from likewise.log.topics import Topics
    from likewise.messages.events import Event
    from likewise.messages.ids import ItemId
    from likewise.messages.items import CatalogueItem

MAX_UNCONFIRMED = 10_000
CONFIRMATION_TIMEOUT_S = 10.0


class _Unsent(NamedTuple):
    topic: str
    value: bytes | None
    key: bytes | None
    headers: tracing.Headers
    position: asyncio.Future[Position]


class Events:
    """Publishes events and documents. For the loop's thread."""

    def __init__(
        self,
        sink: Sink,
        topics: Topics,
        stats: GatewayStats,
        *,
        timeout_s: float = CONFIRMATION_TIMEOUT_S,
        limit: int = MAX_UNCONFIRMED,
    ) -> None:
        """At most `limit` records wait for their confirmation at a time."""
        self._sink = sink
        self._topics = topics
        self._stats = stats
        self._timeout_s = timeout_s
        self._limit = limit
        self._exposures = ExposureTopic(sink, topics.exposures, stats)
        self._queue: SimpleQueue[_Unsent | Exposure | None] = SimpleQueue()
        self._unconfirmed = 0
        self._confirmed: deque[tuple[Delivery, asyncio.Future[Position]]] = deque()
        self._settling = False
        self._loop: asyncio.AbstractEventLoop | None = None

    async def publish(self, event: Event, recommendation_id: str | None = None) -> Position:
        """Return the position of the event, once Kafka has it.

        Raises:
            TransientError: Kafka did not confirm it in time; it may be in the log.
            UndeliverableError: Kafka refuses it.
            ReplyError: too many events wait for Kafka (`overloaded`).
        """
        value = encode_event(event, recommendation_id=recommendation_id)
        return await self.publish_encoded(value, event_key(event))

    async def publish_encoded(self, value: bytes, key: bytes) -> Position:
        """Return the position of an event that is encoded already; see `publish`."""
        return await self.publish_record(self._topics.likes, value, key)

    async def publish_many(self, events: Sequence[tuple[bytes, bytes]]) -> list[Position]:
        """Return the positions of events given as (value, key), once Kafka has all; see `publish`."""
        return list(await asyncio.gather(*(self.publish_encoded(*event) for event in events)))

    async def put_item(self, item: CatalogueItem) -> Position:
        """Return the position in its topic, once Kafka has the item; see `publish`."""
        return await self.publish_record(
            self._topics.items, encode_item(item), item.item_id.encode()
        )

    async def remove_item(self, item_id: ItemId) -> Position:
        """Return the position in its topic, once Kafka has the removal; see `publish`."""
        return await self.publish_record(self._topics.items, None, item_id.encode())

    async def put_scenario(self, name: str, value: bytes | None) -> Position:
        """Return the position in its topic, once Kafka has the scenario or its removal; see `publish`."""
        return await self.publish_record(self._topics.scenarios, value, name.encode())

    async def publish_record(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        headers: Sequence[tuple[str, bytes]] = (),
    ) -> Position:
        """Return the position of a record of any topic, once Kafka has it; see `publish`."""
        if self._unconfirmed >= self._limit:
            raise ReplyError("overloaded", f"{self._limit} events wait for Kafka already")
        if self._loop is None:  # looking it up is a call to the system
            self._loop = asyncio.get_running_loop()
        position: asyncio.Future[Position] = self._loop.create_future()
        self._unconfirmed += 1
        try:
            async with asyncio.timeout(self._timeout_s):
                with tracing.sending(topic) as trace:
                    self._queue.put(_Unsent(topic, value, key, [*headers, *trace], position))
                    sent = await position
        except TimeoutError:
            raise TransientError("Kafka did not confirm the event in time").of("kafka") from None
        finally:
            self._unconfirmed -= 1
        self._stats.published += 1
        return sent

    def expose(self, exposure: Exposure) -> None:
        """Send an exposure without waiting for Kafka. It is dropped if too many records wait."""
        if self._queue.qsize() >= self._limit:
            self._exposures.drop("Kafka is slower than the answers")
        else:
            self._queue.put(exposure)

    @contextmanager
    def publishing(self) -> Iterator[None]:
        """Publish in a thread during a `with` block; at its end, send what is left."""
        thread = threading.Thread(target=self._run, name="publishing", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._queue.put(None)
            thread.join()

    def _run(self) -> None:
        while (unsent := self._queue.get()) is not None:
            if isinstance(unsent, Exposure):
                self._exposures.send_without_waiting(unsent)
                continue
            if unsent.position.done():  # it waited too long, and its client knows
                continue
            try:
                delivery = self._sink.send(
                    unsent.topic, unsent.value, key=unsent.key, headers=unsent.headers
                )
            except Exception as error:  # noqa: BLE001  # one record must not end the thread
                self._note_failure(unsent, error)
            else:
                self._call_back(delivery, unsent.position)

    def _call_back(self, delivery: Delivery, position: asyncio.Future[Position]) -> None:
        delivery.add_done_callback(lambda: self._note_confirmed(delivery, position))

    def _note_failure(self, unsent: _Unsent, error: Exception) -> None:
        if not isinstance(error, LikewiseError):
            get_logger().error("publishing failed", topic=unsent.topic, exc_info=error)
            error = Problem("internal", "the gateway failed to publish; its log says more")
        self._in_loop(_fail, unsent.position, error)

    def _note_confirmed(self, delivery: Delivery, position: asyncio.Future[Position]) -> None:
        """Note that the result is known. One wake-up of the loop settles all that are."""
        self._confirmed.append((delivery, position))
        if not self._settling:
            self._settling = True
            self._in_loop(self._settle)

    def _in_loop(self, call: Callable[..., object], *args: object) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits for this any more
                self._loop.call_soon_threadsafe(call, *args)

    def _settle(self) -> None:
        self._settling = False  # first: what is confirmed from here on wakes the loop again
        while self._confirmed:
            delivery, position = self._confirmed.popleft()
            try:
                sent = Position(*delivery.result(0))
            except LikewiseError as error:
                _fail(position, error)
            else:
                if not position.done():
                    position.set_result(sent)


def _fail(position: asyncio.Future[Position], error: Exception) -> None:
    if not position.done():
        position.set_exception(error)
