"""Reading bodies: the bound of each, and of all in flight together."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from starlette.requests import ClientDisconnect, Request

from gateway.bodies import Bodies
from gateway.endpoint import Endpoint
from gateway.problem import Problem

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import Message

    from gateway.endpoint import Call


async def _unused(_: Call) -> Response:
    raise NotImplementedError


ENDPOINT = Endpoint(
    method="POST", path="/", handler=_unused, summary="", tag="", body=bytes, max_body=80
)


def request(*chunks: bytes, declared: int | None = None, leaves: bool = False) -> Request:
    """Return a request with a body in chunks; `leaves`: its client disconnects after them."""
    last: Message = {"type": "http.disconnect" if leaves else "http.request"}
    messages = [{"type": "http.request", "body": one, "more_body": True} for one in chunks] + [last]

    async def receive() -> Message:
        return messages.pop(0)

    length = [] if declared is None else [(b"content-length", str(declared).encode())]
    return Request({"type": "http", "method": "POST", "headers": length}, receive)


async def size_of(bodies: Bodies, *chunks: bytes, declared: int | None = None) -> int:
    async with bodies.read(request(*chunks, declared=declared), ENDPOINT) as body:
        return len(body)


def test_a_body_counts_until_its_request_is_answered() -> None:
    async def story() -> None:
        bodies = Bodies(limit=100)
        async with bodies.read(request(b"x" * 30, b"y" * 30), ENDPOINT) as body:
            assert body == b"x" * 30 + b"y" * 30
            assert await size_of(bodies, b"z" * 40) == 40
            for declared in (None, 41):
                with pytest.raises(Problem) as refused:
                    await size_of(bodies, b"z" * 20, b"z" * 21, declared=declared)
                assert (refused.value.status, refused.value.code) == (503, "overloaded")
                assert refused.value.headers["Retry-After"] == "1"
        assert await size_of(bodies, b"z" * 80) == 80

    asyncio.run(story())


def test_a_body_that_is_refused_or_ends_early_no_longer_counts() -> None:
    async def story() -> None:
        bodies = Bodies(limit=100)
        for _ in range(3):
            with pytest.raises(Problem, match="body_too_large"):
                await size_of(bodies, b"x" * 60, b"x" * 21)
            with pytest.raises(ClientDisconnect):
                async with bodies.read(request(b"x" * 60, leaves=True), ENDPOINT):
                    raise AssertionError("there is no whole body")
        assert await size_of(bodies, b"z" * 80) == 80

    asyncio.run(story())
