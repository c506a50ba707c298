"""Whether the gateway lives, is ready, and how it is doing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response

from gateway.endpoint import Call, Endpoint

if TYPE_CHECKING:
    from gateway.security.principal import Role


def _page(path: str, summary: str, role: Role | None = None) -> Endpoint:
    async def answer(call: Call) -> Response:
        page = await call.gateway.run(call.gateway.pages[path])
        return Response(page.body, page.status, media_type=page.content_type)

    return Endpoint(
        method="GET",
        path=path,
        handler=answer,
        summary=summary,
        tag="operations",
        role=role,
        answer=str,
        media_type="text/plain",
    )


ENDPOINTS = (
    _page("/healthz", "Whether the gateway runs. 503: restart it."),
    _page("/readyz", "Whether the gateway can answer now. 503: send no requests."),
    _page("/metrics", "Metrics for Prometheus.", role="admin"),
)
