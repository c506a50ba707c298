"""The ASGI application: from a request to an endpoint's answer, or to a problem."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles

from gateway.decoding import decode_body, decode_query, read_body
from gateway.endpoint import Call
from gateway.problem import MEDIA_TYPE, Problem, problem_of
from gateway.routing import Routes
from likewise.errors import LikewiseError
from likewise.service.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import Receive, Scope, Send

    from gateway.endpoint import Endpoint
    from gateway.gateway import Gateway

PAGE = Path(__file__).parent / "page"
_PAGE_PATHS = frozenset({"/", "/live", "/models", "/dead-letters", "/messages"})
_PAGE_PREFIXES = ("/items/", "/users/")


class App:
    """Answers HTTP requests with a gateway."""

    def __init__(self, gateway: Gateway, endpoints: Iterable[Endpoint]) -> None:
        self._gateway = gateway
        self._routes = Routes(endpoints)
        self._files = StaticFiles(directory=PAGE) if gateway.settings.gateway.page else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification. Only HTTP is served."""
        if scope["type"] != "http":
            raise RuntimeError(f"{scope['type']} is not served")
        stats = self._gateway.stats
        began_s = time.perf_counter()
        stats.in_flight += 1
        try:
            name, response = await self._response(Request(scope, receive))
        except ClientDisconnect:
            return
        finally:
            stats.in_flight -= 1
        stats.requests[name, str(response.status_code)] += 1
        page = name == "page" or response.media_type == "text/html"
        self._gateway.security.secure(response.raw_headers, scope, page=page)
        await response(scope, receive, send)
        stats.on_latency_s(time.perf_counter() - began_s)

    async def _response(self, request: Request) -> tuple[str, Response]:
        """Return the name of the endpoint for monitoring, and the answer."""
        name = "other"
        guard = self._gateway.security
        try:
            if request.method == "OPTIONS" and guard.shares:
                return "preflight", guard.preflight(request.scope)
            match = self._routes.match(request.method, request.scope["raw_path"])
            if match is None:
                guard.let_in(request.scope, None)
                return "page", await self._page(request)
            endpoint = match.endpoint
            request.scope["endpoint"] = endpoint
            name = f"{endpoint.method} {endpoint.path}"
            return name, await self._call(request, endpoint, match.path)
        except LikewiseError as error:
            problem = problem_of(error)
        except ClientDisconnect:
            raise
        except Exception:  # noqa: BLE001  # whatever an endpoint does, its client gets an answer
            get_logger().exception("request failed", endpoint=name)
            problem = Problem("internal", "the gateway failed on this request; its log says more")
        self._gateway.stats.rejected[problem.code] += 1
        return name, Response(problem.body(), problem.status, problem.headers, MEDIA_TYPE)

    async def _call(self, request: Request, endpoint: Endpoint, path: dict[str, str]) -> Response:
        principal = self._gateway.security.let_in(request.scope, endpoint)
        query = decode_query(endpoint.query, request.scope["query_string"])
        body = None
        if endpoint.body is not None:
            raw = await read_body(request, endpoint)
            body = raw if endpoint.raw_body else decode_body(endpoint.body, raw)
        return await endpoint.handler(Call(request, path, query, body, self._gateway, principal))

    async def _page(self, request: Request) -> Response:
        """Return a file of the page, or its single document for the paths that it routes itself."""
        path = request.scope["path"]
        if self._files is None or request.method != "GET":
            raise Problem("not_found", "there is nothing at this path")
        if path in _PAGE_PATHS or path.startswith(_PAGE_PREFIXES):
            return FileResponse(PAGE / "index.html")
        if path.startswith("/page/"):
            try:
                return await self._files.get_response(path.removeprefix("/page/"), request.scope)
            except HTTPException:
                pass
        raise Problem("not_found", "there is nothing at this path")
