"""Answers to what never becomes a request: complete HTTP responses, which end the connection."""

from __future__ import annotations

from gateway.problem import MEDIA_TYPE, Problem
from gateway.reasons import reason_of
from gateway.security.headers import api_headers


def _response(code: str, detail: str) -> bytes:
    problem = Problem(code, detail)
    body = problem.body()
    headers = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
        *((name.lower().encode(), value.encode()) for name, value in problem.headers.items()),
        *api_headers(),
    ]
    phrase = reason_of(problem.status).encode()
    lines = [b"HTTP/1.1 %d %s" % (problem.status, phrase)]
    lines += [name + b": " + value for name, value in headers]
    return b"\r\n".join([*lines, b"", body])


BAD_REQUEST = _response("invalid_request", "This is not an HTTP request that the gateway accepts.")
HEAD_TOO_LARGE = _response(
    "header_too_large", "The headers of a request are at most 100, and 32 KiB."
)
URL_TOO_LONG = _response(
    "url_too_long", "The path and the query are at most 8 KiB; use a `POST` form."
)
TOO_SLOW = _response("request_timeout", "The request did not arrive in time.")
FULL = _response("too_many_connections", "The gateway has as many connections as it accepts.")
