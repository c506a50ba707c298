"""Sends ticks to all clients of `/v1/live`: one task makes them, while there is any client."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from gateway.live.sampler import Sampler
from gateway.live.tick import KEEP_ALIVE, server_sent
from gateway.problem import Problem
from likewise.service.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from gateway.live.ports import LivePorts

MOST_CLIENTS = 100
TICK_S = 1.0
KEEP_ALIVE_S = 15.0
_QUEUED = 10


class Client:
    """One open stream: the messages that it has not been sent yet."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[bytes] = asyncio.Queue(_QUEUED)
        self._ended = asyncio.Event()

    def offer(self, message: bytes) -> None:
        """Queue a message; a client that has not taken ten of them is dropped."""
        try:
            self._queue.put_nowait(message)
        except asyncio.QueueFull:
            self.end()

    def end(self) -> None:
        """End the stream, at once."""
        self._ended.set()

    async def wait_until_ended(self) -> None:
        """Return when the stream is to end."""
        await self._ended.wait()

    async def messages(self) -> AsyncIterator[bytes]:
        """Yield messages, and comments while there are none. Runs until it is cancelled."""
        while True:
            try:
                async with asyncio.timeout(KEEP_ALIVE_S):
                    message = await self._queue.get()
            except TimeoutError:
                message = KEEP_ALIVE
            yield message


class Live:
    """The clients of one gateway. For the loop's thread."""

    def __init__(self, gateway: LivePorts, tick_s: float = TICK_S) -> None:
        """Look at nothing before the first client."""
        self._gateway = gateway
        self._tick_s = tick_s
        self._clients: set[Client] = set()
        self._running: asyncio.Task[None] | None = None

    @property
    def sampling(self) -> bool:
        """Whether ticks are being made."""
        return self._running is not None

    def check_room(self) -> None:
        """Return if there is room for one more client.

        Raises:
            Problem: there is not; 503.
        """
        if len(self._clients) >= MOST_CLIENTS:
            raise Problem("too_many_streams", f"{MOST_CLIENTS} clients are connected already")

    @contextmanager
    def client(self) -> Iterator[Client]:
        """Send to a new client for the length of a `with` block."""
        client = Client()
        self._clients.add(client)
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        try:
            yield client
        finally:
            self._clients.discard(client)

    async def _run(self) -> None:
        """Make ticks until there is no client, or the gateway stops."""
        stop = self._gateway.stop
        sampler = Sampler(self._gateway)
        loop = asyncio.get_running_loop()
        try:
            while self._clients and not stop.is_set():
                next_s = loop.time() + self._tick_s
                await self._send(sampler)
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(next_s):
                        await stop.wait()
        finally:
            sampler.close()
            self._running = None
            for client in self._clients:
                client.end()

    async def _send(self, sampler: Sampler) -> None:
        try:
            tick, events = await sampler.sample()
        except Exception:  # noqa: BLE001  # the next tick may work, and the clients stay connected
            get_logger().exception("cannot make a tick")
            return
        parts = [server_sent("tick", tick), *(server_sent("like", event) for event in events)]
        message = b"".join(parts)
        for client in [*self._clients]:
            client.offer(message)
