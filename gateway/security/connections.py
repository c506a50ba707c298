"""Bounds what one connection, and all of them together, can hold.

uvicorn bounds neither the head of a request nor the time that a client takes to send or to read. This protocol
does, with one deadline for each connection and one timer for all of them.
"""

from __future__ import annotations

import math
import resource
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.security.refusals import (
    BAD_REQUEST,
    FULL,
    HEAD_TOO_LARGE,
    TOO_SLOW,
    URL_TOO_LONG,
)
from likewise.service.logs import get_logger

if TYPE_CHECKING:
    import asyncio

    from likewise.settings.gateway import GatewaySettings

MAX_URL_BYTES = 8_192
MAX_HEADERS = 100
MAX_FRAMING_BYTES = 32_768
"""Bytes in a row that are no body: a head, the extensions of a chunk, trailers."""
MAX_PIPELINED = 16
MIN_BYTES_PER_S = 16_384
"""A client that sends or reads at least this fast has all the time that it needs."""
_SWEEP_S = 0.5
_RESERVED_FILES = 200
"""For Kafka, Redis, the model and logs."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of connections."""

    connections: int
    header_s: float
    body_s: float
    write_s: float
    idle_s: float
    linger_s: float = 5.0
    """How long a refused client that still sends has to read why. Closed at once, it would lose the answer."""

    @classmethod
    def of(cls, settings: GatewaySettings) -> Limits:
        """Return the limits of the settings, with fewer connections if the process can't open so many."""
        files = _raise_file_limit(settings.max_connections + _RESERVED_FILES)
        connections = min(settings.max_connections, max(files - _RESERVED_FILES, 1))
        if connections < settings.max_connections:
            get_logger().warning(
                "fewer connections than gateway.max_connections: the limit of open files is too low",
                connections=connections,
                open_files=files,
            )
        return cls(
            connections,
            settings.header_timeout_s,
            settings.body_timeout_s,
            settings.write_timeout_s,
            settings.idle_timeout_s,
        )


class Connections:
    """All connections of a server. `protocol` is what uvicorn takes as `http`."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.open: set[BoundedProtocol] = set()
        self._sweeping = False

    def protocol(self, **given: Any) -> BoundedProtocol:
        """Return the protocol of a new connection."""
        return BoundedProtocol(self, **given)

    def add(self, connection: BoundedProtocol) -> bool:
        """Watch a connection; return False if there are too many."""
        if len(self.open) >= self.limits.connections:
            return False
        self.open.add(connection)
        if not self._sweeping:
            self._sweeping = True
            connection.loop.call_later(_SWEEP_S, self._sweep, connection.loop)
        return True

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now_s = loop.time()
        for connection in tuple(self.open):
            connection.check(now_s)
        self._sweeping = bool(self.open)
        if self._sweeping:
            loop.call_later(_SWEEP_S, self._sweep, loop)


class BoundedProtocol(HttpToolsProtocol):
    """One connection. A client that is too slow or sends too much is refused, then disconnected.

    A complete request costs little here; only what is incomplete is watched.
    """

    def __init__(self, connections: Connections, **given: Any) -> None:
        super().__init__(**given)
        self._connections = connections
        self._limits = connections.limits
        self.timeout_keep_alive = math.ceil(self._limits.idle_s)
        self._deadline_s = math.inf
        self._write_deadline_s = math.inf
        self._unsent = 0
        self._framing = self._read = 0
        self._in_body = self._refused = False
        self._watched: tuple[object, bool] = (None, False)
        self._refusal = BAD_REQUEST

    # Called by the transport.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        if not self._connections.add(self):
            self._refused = True
            self.transport = transport
            transport.write(FULL)
            transport.close()
            return
        super().connection_made(transport)
        self._deadline_s = self.loop.time() + self._limits.header_s

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.open.discard(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        self._read = len(data)
        self._framing += self._read
        super().data_received(data)
        if self._in_body or (self.scope is not None and "method" not in self.scope):
            self._watch()

    def pause_writing(self) -> None:
        self._unsent = self.transport.get_write_buffer_size()
        self._write_deadline_s = self.loop.time() + self._limits.write_s
        super().pause_writing()

    # Called by the parser. After an exception here, uvicorn calls `send_400_response`.

    def on_headers_complete(self) -> None:
        self._check_head()
        self._in_body = True
        self._framing = 0
        super().on_headers_complete()
        self.headers = []  # uvicorn would add trailers to the headers of the running request

    def on_body(self, body: bytes) -> None:
        self._framing = 0
        if not self.cycle.response_complete:
            self._deadline_s += len(body) / MIN_BYTES_PER_S
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_body = False
        self._deadline_s = math.inf
        super().on_message_complete()

    # Refusing and closing.

    def check(self, now_s: float) -> None:
        """Refuse or close the connection if its client is late."""
        if self.flow.write_paused and self._is_stalled(now_s):
            self.transport.abort()
        elif self._deadline_s == math.inf:
            if self.cycle.response_complete:
                self._deadline_s = now_s + self._limits.idle_s
        elif now_s < self._deadline_s:
            return
        elif self.flow.write_paused:
            self._deadline_s = now_s + _SWEEP_S  # an answer is being sent
        elif self._refused or self.transport.is_closing() or self._is_discarding():
            self.transport.abort()
        elif self._in_body and self.flow.read_paused:
            self._deadline_s = now_s + _SWEEP_S  # the client waits for the gateway
        elif self._in_body or self._in_head:
            self._refuse(TOO_SLOW)
        else:
            self._deadline_s = now_s + self._limits.linger_s
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, or not what this server accepts."""
        del msg
        self._refuse(self._refusal)

    @property
    def _in_head(self) -> bool:
        # A request has a scope from its first byte on, and a method once its head is complete.
        return self.scope is not None and "method" not in self.scope

    def _watch(self) -> None:
        """Bound the bytes and the time of an incomplete request."""
        if self._framing > MAX_FRAMING_BYTES:
            self._refuse(HEAD_TOO_LARGE)
            return
        scope, in_body = self._watched
        if scope is not self.scope or in_body != self._in_body:  # another part began
            self._watched = (self.scope, self._in_body)
            seconds = self._limits.body_s if self._in_body else self._limits.header_s
            self._deadline_s = self.loop.time() + seconds

    def _is_discarding(self) -> bool:
        """Whether the client still sends a body that was refused."""
        return self._in_body and self.cycle.response_complete

    def _is_stalled(self, now_s: float) -> bool:
        unsent = self.transport.get_write_buffer_size()
        self._write_deadline_s += max(self._unsent - unsent, 0) / MIN_BYTES_PER_S
        self._unsent = unsent
        return now_s > self._write_deadline_s

    def _check_head(self) -> None:
        if not self.url.startswith(b"/"):
            raise _RefusedError  # `http://host/path` is for proxies
        if len(self.url) > MAX_URL_BYTES:
            self._refusal = URL_TOO_LONG
            raise _RefusedError
        large = (self._read > MAX_FRAMING_BYTES or self._framing > MAX_FRAMING_BYTES) and (
            sum(len(name) + len(value) for name, value in self.headers) > MAX_FRAMING_BYTES
        )
        if large or len(self.headers) > MAX_HEADERS:
            self._refusal = HEAD_TOO_LARGE
            raise _RefusedError
        if len(self.pipeline) >= MAX_PIPELINED:
            raise _RefusedError

    def _refuse(self, answer: bytes) -> None:
        """Answer, read nothing further, and leave the client a moment to read the answer."""
        self._refused = True
        cycle = self.cycle
        running = cycle is not None and not cycle.response_complete
        if running:
            cycle.disconnected = True
            cycle.message_event.set()
        if self.transport.is_closing() or (running and (self._in_head or cycle.response_started)):
            self.transport.abort()  # an answer now would be taken for that to an earlier request
            return
        if running or not self._in_body:
            self.transport.write(answer)
        self._deadline_s = self.loop.time() + self._limits.linger_s
        self._unset_keepalive_if_required()
        self.flow.resume_reading()
        self.transport.write_eof()


class _RefusedError(Exception):
    """Ends the parsing of a request."""


def _raise_file_limit(wanted: int) -> int:
    """Raise the number of files that the process may open, as far as it may; return the number."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft
