"""What `/healthz`, `/readyz` and `/metrics` say, and the HTTP server that says it."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from likewise.errors import SettingsError
from likewise.monitoring.metrics import registry_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from likewise.monitoring.pulse import Pulse
    from likewise.settings import MonitoringSettings

_TEXT = "text/plain; charset=utf-8"


class Page(NamedTuple):
    """An answer over HTTP."""

    status: int
    content_type: str
    body: bytes


def pages(service: str, stats: Any, longest_silence_s: float) -> dict[str, Callable[[], Page]]:
    """Return what answers for each path; see `likewise.monitoring.endpoint.monitoring`."""
    registry = registry_of(service, stats)
    pulse: Pulse = stats.pulse

    def healthz() -> Page:
        stuck_s = pulse.stuck_s(longest_silence_s)
        if stuck_s is not None:
            return _answer(503, f"the {service}'s loop has not turned for {stuck_s:.0f} s")
        return _answer(200, f"ok, {pulse.doing}" if pulse.doing else "ok")

    def readyz() -> Page:
        if not pulse.ready or pulse.stuck_s(longest_silence_s) is not None:
            return _answer(503, f"the {service} is not ready")
        return _answer(200, "ready")

    def metrics() -> Page:
        return Page(200, CONTENT_TYPE_LATEST, generate_latest(registry))

    return {"/healthz": healthz, "/readyz": readyz, "/metrics": metrics}


def _answer(status: int, sentence: str) -> Page:
    return Page(status, _TEXT, f"{sentence}\n".encode())


def listen(
    settings: MonitoringSettings, pages: dict[str, Callable[[], Page]]
) -> ThreadingHTTPServer:
    """Return a server that listens already.

    Raises:
        SettingsError: the port can't be listened on.
    """

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
