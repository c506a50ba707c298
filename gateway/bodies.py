"""Reads the bodies of requests, and bounds the memory that all of them take together."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from gateway.problem import Problem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from gateway.endpoint import Endpoint

MAX_BYTES_IN_FLIGHT = 64 * 1024 * 1024


class Bodies:
    """The bodies of the requests in flight. For the loop's thread."""

    def __init__(self, limit: int = MAX_BYTES_IN_FLIGHT) -> None:
        """All bodies together hold at most `limit` bytes."""
        self._limit = limit
        self._in_flight = 0

    @asynccontextmanager
    async def read(self, request: Request, endpoint: Endpoint) -> AsyncIterator[bytes]:
        """Yield the body, which counts as in flight until the `with` block ends.

        Raises:
            Problem: it is of another media type, or too large; or the bodies in flight leave no room (`overloaded`).
        """
        _check_media_type(request, endpoint)
        declared = request.headers.get("content-length", "")
        if declared.isdecimal():
            self._check(int(declared), 0, endpoint)
        body = bytearray()
        try:
            async for chunk in request.stream():
                self._check(len(body) + len(chunk), len(body), endpoint)
                body += chunk
                self._in_flight += len(chunk)
            yield bytes(body)
        finally:
            self._in_flight -= len(body)

    def _check(self, size: int, counted: int, endpoint: Endpoint) -> None:
        """Raise if a body of this size is refused; `counted` bytes of it are in flight already."""
        if size > endpoint.max_body:
            raise Problem("body_too_large", f"the body is larger than {endpoint.max_body} bytes")
        if self._in_flight - counted + size > self._limit:
            raise Problem("overloaded", "the bodies of other requests take all the memory for them")


def _check_media_type(request: Request, endpoint: Endpoint) -> None:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type and media_type not in endpoint.accepts:
        accepted = " or ".join(endpoint.accepts)
        raise Problem("unsupported_media_type", f"the body must be {accepted}")
