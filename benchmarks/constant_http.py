"""`python -m benchmarks.constant_http PORT BYTES`: the floor of the gateway, an answer without a question.

A Starlette route that returns a constant, served exactly as the gateway is.
"""

from __future__ import annotations

import asyncio
import socket
import sys

import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.http_server import Server, config_of
from likewise.service.signals import stop_on_signals


def main() -> None:
    """Answer until Ctrl-C or SIGTERM."""
    port, size = map(int, sys.argv[1:])
    body = b'"' + b"x" * (size - 2) + b'"'

    async def constant(_request: Request) -> Response:
        return Response(body, media_type="application/json")

    app = Starlette(routes=[Route("/v1/users/{user_id}/recommendations", constant)])

    async def serve() -> None:
        server = Server(config_of(app))
        serving = asyncio.create_task(server.serve(sockets=[bound]))
        await asyncio.to_thread(stop.wait)
        server.should_exit = True
        await serving

    with stop_on_signals() as stop, socket.socket() as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("127.0.0.1", port))
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve())


if __name__ == "__main__":
    main()
