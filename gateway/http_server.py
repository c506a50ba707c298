"""Listens and serves the application with uvicorn until the stop."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import uvicorn
import uvloop

from gateway.app import App
from gateway.endpoints import ENDPOINTS
from gateway.security.connections import Connections, Limits
from gateway.traced import traced
from gateway.watch import watch
from likewise.errors import SettingsError
from likewise.service.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp

    from gateway.gateway import Gateway
    from likewise.settings.gateway import GatewaySettings

_FINISH_WITHIN_S = 10
_BACKLOG = 2_048


def bind(settings: GatewaySettings) -> socket.socket:
    """Return a socket with the address of the settings. It refuses connections until it is served.

    Raises:
        SettingsError: the address cannot be used.
    """
    bound = socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((settings.host, settings.port))
    except OSError as error:
        bound.close()
        raise _cannot_listen(settings.host, settings.port, error) from error
    return bound


def listen(bound: socket.socket) -> None:
    """Let clients connect. uvloop ignores that it cannot listen, so this comes first.

    Raises:
        SettingsError: another process was bound to the address too, and listens by now.
    """
    host, port = bound.getsockname()[:2]
    try:
        bound.listen(_BACKLOG)
    except OSError as error:
        raise _cannot_listen(host, port, error) from error


def _cannot_listen(host: str, port: int, error: OSError) -> SettingsError:
    return SettingsError(
        f"gateway.port (LIKEWISE_GATEWAY_PORT): cannot listen on {host}:{port}: {error.strerror}; "
        "choose another port, or 0 for any free one"
    )


def serve(gateway: Gateway, bound: socket.socket, stop: threading.Event) -> None:
    """Answer until `stop` is set, then finish what is in flight, for ten seconds at most. Blocks.

    Raises:
        SettingsError: see `listen`.
    """
    listen(bound)
    connections = Connections(Limits.of(gateway.settings.gateway))
    server = Server(config_of(traced(App(gateway, ENDPOINTS)), connections.protocol))
    host, port = bound.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    get_logger().info(
        "listening", url=f"http://{shown}:{port}/", model=gateway.models.current().version
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(gateway, server, bound, stop))


def config_of(app: ASGIApp, protocol: Any = "httptools") -> uvicorn.Config:
    """Return how uvicorn serves an application; `protocol` makes the protocol of each connection."""
    return uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=_FINISH_WITHIN_S,
        backlog=_BACKLOG,
    )


class Server(uvicorn.Server):
    """uvicorn without its signal handlers: the service has its own."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals as they are."""
        yield


async def _serve(
    gateway: Gateway, server: Server, bound: socket.socket, stop: threading.Event
) -> None:
    loop = asyncio.get_running_loop()

    def wait_for_stop() -> None:
        stop.wait()
        loop.call_soon_threadsafe(begin_to_stop)

    def begin_to_stop() -> None:
        gateway.stop.set()  # endless answers end
        server.should_exit = True

    waiter = threading.Thread(target=wait_for_stop, name="stop-watch", daemon=True)
    waiter.start()
    beating = asyncio.create_task(watch(gateway))
    try:
        await server.serve(sockets=[bound])
    finally:
        stop.set()  # so that the thread ends
        waiter.join()
        gateway.stop.set()
        await beating
