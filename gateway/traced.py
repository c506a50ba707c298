"""Traces the HTTP requests of an application, where traces are on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likewise.service import tracing

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from gateway.endpoint import Endpoint


def traced(app: ASGIApp) -> ASGIApp:
    """Return the application with a span for each request; without traces, the application itself."""
    return _traced(app) if tracing.is_on() else app


def _traced(app: ASGIApp) -> ASGIApp:
    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        with tracing.http(scope["method"], scope["scheme"], headers) as span:

            async def note_status(message: Message) -> None:
                if message["type"] == "http.response.start":
                    endpoint: Endpoint | None = scope.get("endpoint")
                    route = None if endpoint is None else endpoint.path
                    span.answered(route, message["status"])
                await send(message)

            await app(scope, receive, note_status)

    return call
