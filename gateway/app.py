"""The ASGI application: from a request to an endpoint's answer, or to a problem."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from gateway.bodies import Bodies
from gateway.decoding import decode_body, decode_query
from gateway.endpoint import Call
from gateway.failures import FailureLog
from gateway.page_files import PageFiles
from gateway.problem import MEDIA_TYPE, Problem, problem_of
from gateway.routing import Routes
from likewise.errors import LikewiseError, TransientError
from likewise.service.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import Receive, Scope, Send

    from gateway.endpoint import Endpoint
    from gateway.gateway import Gateway


class App:
    """Answers HTTP requests with a gateway."""

    def __init__(self, gateway: Gateway, endpoints: Iterable[Endpoint]) -> None:
        self._gateway = gateway
        self._routes = Routes(endpoints)
        self._page = PageFiles() if gateway.settings.gateway.page else None
        self._limit = gateway.settings.gateway.max_requests_in_flight
        self._log_answers = gateway.settings.logging.level == "debug"
        self._bodies = Bodies()
        self._failures = FailureLog()

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
        took_s = time.perf_counter() - began_s
        stats.requests[name, str(response.status_code)] += 1
        stats.count_latency(took_s)
        if self._log_answers:
            get_logger().debug(
                "answered", endpoint=name, status=response.status_code, ms=round(1000 * took_s, 1)
            )
        page = name == "page" or response.media_type == "text/html"
        self._gateway.security.secure(response.raw_headers, scope, page=page)
        await response(scope, receive, send)

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
                return "page", await self._file(request)
            endpoint = match.endpoint
            request.scope["endpoint"] = endpoint
            name = endpoint.name
            return name, await self._call(request, endpoint, match.path)
        except LikewiseError as error:
            problem = problem_of(error)
            self._note(name, problem, error)
        except ClientDisconnect:
            raise
        except Exception as error:  # noqa: BLE001  # whatever an endpoint does, its client gets an answer
            problem = Problem("internal", "the gateway failed on this request; its log says more")
            self._note(name, problem, error)
        return name, Response(problem.body(), problem.status, problem.headers, MEDIA_TYPE)

    async def _call(self, request: Request, endpoint: Endpoint, path: dict[str, str]) -> Response:
        principal = self._gateway.security.let_in(request.scope, endpoint)
        if self._gateway.stats.in_flight > self._limit and endpoint.role is not None:
            raise Problem("overloaded", f"{self._limit} requests are being answered already")
        query = decode_query(endpoint.query, request.scope["query_string"])
        call = Call(request, path, query, None, self._gateway, principal)
        if endpoint.body is None:
            return await endpoint.handler(call)
        async with self._bodies.read(request, endpoint) as raw:
            call.body = raw if endpoint.raw_body else decode_body(endpoint.body, raw)
            return await endpoint.handler(call)

    async def _file(self, request: Request) -> Response:
        if self._page is None:
            raise Problem("not_found", "there is nothing at this path")
        return await self._page.answer(request)

    def _note(self, name: str, problem: Problem, error: Exception) -> None:
        stats = self._gateway.stats
        stats.rejected[problem.code] += 1
        if isinstance(error, TransientError):
            stats.server_errors[error.server] += 1
        if problem.status >= 500:
            self._failures.note(name, problem, error)
