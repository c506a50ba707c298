"""The HTTP side of monitoring: `/healthz`, `/readyz` and `/metrics`, from a thread of its own."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from likewise.errors import SettingsError
from likewise.monitoring.metrics import registry_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from likewise.monitoring.pulse import Pulse
    from likewise.settings import MonitoringSettings

_TEXT = "text/plain; charset=utf-8"
_POLL_INTERVAL_S = 0.1
"""How long the end of a service may wait for this thread."""


class _Page(NamedTuple):
    status: int
    content_type: str
    body: bytes


@contextmanager
def monitoring(
    settings: MonitoringSettings,
    service: str,
    stats: Any,
    *,
    longest_silence_s: float = 60.0,
) -> Iterator[int]:
    """Answer over HTTP for the length of a `with` block; yields the port, 0 where it is off.

    `service` is "consumer", "indexer" or "server"; `stats` is its worker's dataclass, with a
    `Pulse`. A service whose loop has not turned for `longest_silence_s` counts as dead.

    Raises:
        SettingsError: the port can't be listened on.
    """
    if not settings.port:
        yield 0
        return
    server = _listen(settings, _pages(service, stats, longest_silence_s))
    turn = partial(server.serve_forever, poll_interval=_POLL_INTERVAL_S)
    thread = threading.Thread(target=turn, name="monitoring", daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _pages(service: str, stats: Any, longest_silence_s: float) -> dict[str, Callable[[], _Page]]:
    registry = registry_of(service, stats)
    pulse: Pulse = stats.pulse

    def healthz() -> _Page:
        silent_s = pulse.silent_s
        if silent_s > longest_silence_s:
            return _answer(503, f"the {service}'s loop has not turned for {silent_s:.0f} s")
        return _answer(200, "ok")

    def readyz() -> _Page:
        if not pulse.ready or pulse.silent_s > longest_silence_s:
            return _answer(503, f"the {service} is not ready")
        return _answer(200, "ready")

    def metrics() -> _Page:
        return _Page(200, CONTENT_TYPE_LATEST, generate_latest(registry))

    return {"/healthz": healthz, "/readyz": readyz, "/metrics": metrics}


def _answer(status: int, sentence: str) -> _Page:
    return _Page(status, _TEXT, f"{sentence}\n".encode())


def _listen(
    settings: MonitoringSettings, pages: dict[str, Callable[[], _Page]]
) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10  # seconds that a client may take over its request

        def do_GET(self) -> None:
            page = pages.get(self.path.partition("?")[0])
            made = page() if page else _answer(404, f"there are {', '.join(pages)}")
            self.send_response(made.status)
            self.send_header("Content-Type", made.content_type)
            self.send_header("Content-Length", str(len(made.body)))
            self.end_headers()
            self.wfile.write(made.body)

        def log_message(self, *_: object) -> None:
            """Say nothing: a health check every few seconds is no news."""

    try:
        return _QuietServer((settings.host, settings.port), Handler)
    except OSError as error:
        raise SettingsError(
            f"monitoring.port (LIKEWISE_MONITORING_PORT): can't listen on "
            f"{settings.host}:{settings.port}: {error.strerror}; choose another, or 0 for none"
        ) from error


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that hangs up in the middle is its own affair."""
