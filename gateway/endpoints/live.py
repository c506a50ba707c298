"""`/v1/live`: the state of the deployment as server-sent events."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from starlette.responses import Response

from gateway.endpoint import Call, Endpoint
from gateway.live.broadcast import Live
from gateway.live.tick import Tick

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from gateway.live.broadcast import Client

MEDIA_TYPE = "text/event-stream"
_LAST_S = 1.0


class EventStream(Response):
    """Sends server-sent events until the client leaves, reads too slowly, or the gateway stops."""

    media_type = MEDIA_TYPE

    def __init__(self, live: Live) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._live = live

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        del scope
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        with self._live.client() as client:
            tasks = [
                asyncio.create_task(_send_all(client, send)),
                asyncio.create_task(_until_disconnected(receive)),
                asyncio.create_task(client.wait_until_ended()),
            ]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        # Of a client that does not read, the server closes the connection instead.
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_S):
                await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _send_all(client: Client, send: Send) -> None:
    async for message in client.messages():
        await send({"type": "http.response.body", "body": message, "more_body": True})


async def _until_disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _live(call: Call) -> Response:
    gateway = call.gateway
    if gateway.live is None:
        gateway.live = Live(gateway)
    gateway.live.check_room()
    return EventStream(gateway.live)


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/v1/live",
        handler=_live,
        summary="Follow the deployment: rates, lag, latency, the model and what is wrong, each second.",
        description=(
            "Server-sent events. `tick` has the state; the data is the JSON described here. `like` is an "
            "event of the likes topic, a sample of at most ten a second: `{action, user_id, item_id, "
            "title, kind}`. A comment every 15 s keeps the connection open. A client that does not read is "
            "dropped, and at most 100 are served."
        ),
        tag="operations",
        answer=Tick,
        media_type=MEDIA_TYPE,
        errors=("too_many_streams",),
    ),
)
