"""Whether the gateway lives, is ready, and how it is doing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response

from gateway.endpoint import Call, Endpoint

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_TEXT = "text/plain"


def _page(path: str) -> Callable[[Call], Awaitable[Response]]:
    async def answer(call: Call) -> Response:
        page = await call.gateway.run(call.gateway.pages[path])
        return Response(page.body, page.status, media_type=page.content_type)

    return answer


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/healthz",
        handler=_page("/healthz"),
        summary="Whether the gateway runs. 503: restart it.",
        tag="operations",
        role=None,
        answer=str,
        media_type=_TEXT,
    ),
    Endpoint(
        method="GET",
        path="/readyz",
        handler=_page("/readyz"),
        summary="Whether the gateway can answer now. 503: send no requests.",
        tag="operations",
        role=None,
        answer=str,
        media_type=_TEXT,
    ),
    Endpoint(
        method="GET",
        path="/metrics",
        handler=_page("/metrics"),
        summary="Metrics for Prometheus.",
        tag="operations",
        role="admin",
        answer=str,
        media_type=_TEXT,
    ),
)
