"""A small HTTP server in which slow, idle or endless clients cannot block others."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from likewise.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from likewise.settings import MonitoringSettings

# For one request and its response; a health check takes milliseconds.
_EXCHANGE_S = 5.0
_MAX_HEAD_BYTES = 8 * 1024
# Each holds a file descriptor. Beyond that the oldest is dropped, so that a prompt client is served.
_MAX_CONNECTIONS = 200
_TEXT = "text/plain; charset=utf-8"
_REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


class Page(NamedTuple):
    """An HTTP response."""

    status: int
    content_type: str
    body: bytes

    @classmethod
    def text(cls, status: int, sentence: str) -> Page:
        """Return a page of one sentence."""
        return cls(status, _TEXT, f"{sentence}\n".encode())


class PageServer:
    """Answers GET in a thread, one request per connection, between `start` and `close`."""

    def __init__(
        self, settings: MonitoringSettings, pages: Mapping[str, Callable[[], Page]]
    ) -> None:
        """Listen; connections wait until `start`.

        Raises:
            SettingsError: the server cannot listen on the port.
        """
        self._pages = pages
        self._loop = asyncio.new_event_loop()
        self._stopped = asyncio.Event()
        self._open: dict[asyncio.Task[None], None] = {}
        try:
            family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
            self._socket = socket.create_server(
                (settings.host, settings.port), family=family, backlog=1_024
            )
        except OSError as error:
            self._loop.close()
            raise SettingsError(
                f"monitoring.port (LIKEWISE_MONITORING_PORT): cannot listen on "
                f"{settings.host}:{settings.port}: {error.strerror}; choose another port, or 0 for none"
            ) from error
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._run, name="monitoring", daemon=True)

    def start(self) -> None:
        """Start to answer."""
        self._thread.start()

    def close(self) -> None:
        """Drop open connections, and return when the port is free again."""
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join()

    def _run(self) -> None:
        with self._socket:
            self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        server = await asyncio.start_server(
            self._connected, sock=self._socket, limit=_MAX_HEAD_BYTES
        )
        async with server:
            await self._stopped.wait()
            server.close()
            for task in self._open:
                task.cancel()
            await asyncio.gather(*self._open, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            return
        if len(self._open) >= _MAX_CONNECTIONS:
            next(iter(self._open)).cancel()
        self._open[task] = None
        try:
            async with asyncio.timeout(_EXCHANGE_S):
                writer.write(_encoded(*await self._answer(reader)))
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        except (OSError, EOFError, asyncio.CancelledError):
            writer.transport.abort()  # the client has had enough time to read
        finally:
            del self._open[task]

    async def _answer(self, reader: asyncio.StreamReader) -> tuple[Page, bool]:
        """Return the page, and whether to send its body."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            return Page.text(
                431, f"the request head must have at most {_MAX_HEAD_BYTES} bytes"
            ), True
        words = head.partition(b"\r\n")[0].decode("latin-1").split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            return Page.text(400, "this is not an HTTP/1 request"), True
        method, path, _ = words
        if method not in {"GET", "HEAD"}:
            return Page.text(405, "only GET is supported"), True
        page = self._pages.get(path.partition("?")[0])
        if page is None:
            return Page.text(404, f"the pages are {', '.join(self._pages)}"), method == "GET"
        with suppress(Exception):  # a failing page still gets a response
            return page(), method == "GET"
        return Page.text(500, "this page failed"), method == "GET"


def _encoded(page: Page, body_wanted: bool) -> bytes:
    head = (
        f"HTTP/1.1 {page.status} {_REASONS[page.status]}\r\nContent-Type: {page.content_type}\r\n"
        f"Content-Length: {len(page.body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + (page.body if body_wanted else b"")
