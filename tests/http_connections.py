"""An HTTP server in a thread, and plain sockets that talk to it: what no HTTP client would send."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import uvicorn

from gateway.security.connections import Connections, Limits

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMITS = Limits(connections=50, header_s=0.6, body_s=0.6, write_s=0.6, idle_s=0.6, linger_s=0.6)
PATIENCE_S = 20.0


@contextmanager
def serving(app: Any, limits: Limits = LIMITS) -> Iterator[tuple[int, Connections]]:
    """Yield the port of a server with bounded connections, and these."""
    connections = Connections(limits)
    config: Any = {"http": connections.protocol, "ws": "none", "lifespan": "off"}
    server = uvicorn.Server(
        uvicorn.Config(
            app, log_config=None, access_log=False, timeout_graceful_shutdown=1, **config
        )
    )
    with socket.create_server(("127.0.0.1", 0), backlog=4_096) as listening:
        # Not `run`, which would install handlers of signals.
        thread = threading.Thread(
            target=lambda: asyncio.run(server.serve(sockets=[listening])), name="http server"
        )
        thread.start()
        try:
            yield listening.getsockname()[1], connections
        finally:
            server.should_exit = True
            thread.join(PATIENCE_S)
            assert not thread.is_alive()


def connect(port: int) -> socket.socket:
    """Return a connection to the server."""
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)


def all_of(connection: socket.socket) -> bytes:
    """Return everything until the server closes the connection."""
    received = bytearray()
    while chunk := connection.recv(65_536):
        received += chunk
    return bytes(received)


def ask(port: int, request: bytes) -> bytes:
    """Send bytes; return everything until the server closes the connection."""
    with connect(port) as connection:
        connection.sendall(request)
        return all_of(connection)


def status_of(answer: bytes) -> int:
    """Return the status of an answer."""
    return int(answer.split(b" ", 2)[1])
