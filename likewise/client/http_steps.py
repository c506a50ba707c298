"""Calls of the HTTP API as generators: what to send and how often, without any I/O.

A generator yields a step, an `HttpRequest` to send or a `Pause`, and is sent the outcome. So the blocking
client and the async client share everything but the sending.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import TypeVar, cast

import httpx

_FIRST_PAUSE_S = 0.1
_BUSY = (429, 503)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """A request; `path` is percent-encoded."""

    method: str
    path: str
    body: bytes | None = None
    media_type: str = "application/json"
    timeout_s: float = 0.0
    """The longest wait for the connection, and for any part of the answer."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait before the next step."""

    seconds: float


Outcome = httpx.Response | httpx.TransportError | None
"""Of a request, the answer or why there is none; of a pause, None."""
Steps = Generator[HttpRequest | Pause, Outcome, T]
"""A call that returns a T."""


def answer_to(request: HttpRequest, timeout_s: float, retries: int) -> Steps[httpx.Response]:
    """Return the answer to an idempotent request, whatever its status.

    After a failed connection, 429 or 503, the request is sent again, at most `retries` times, and only if
    the pause that `Retry-After` requires ends before `timeout_s`.

    Raises:
        httpx.TransportError: the last attempt failed.
    """
    deadline_s = time.monotonic() + timeout_s
    for attempt in range(retries + 1):
        left_s = max(0.001, deadline_s - time.monotonic())
        outcome = yield replace(request, timeout_s=left_s)
        pause_s = _pause_s(outcome, attempt)
        if pause_s is None or attempt == retries or time.monotonic() + pause_s >= deadline_s:
            break
        yield Pause(pause_s)
    if isinstance(outcome, httpx.TransportError):
        raise outcome
    return cast("httpx.Response", outcome)


def _pause_s(outcome: Outcome, attempt: int) -> float | None:
    """Return how long to wait before the next attempt; None: the outcome is final."""
    backoff_s = _FIRST_PAUSE_S * (1 << attempt)
    if not isinstance(outcome, httpx.Response):
        return backoff_s
    if outcome.status_code not in _BUSY:
        return None
    try:
        return max(backoff_s, float(outcome.headers["retry-after"]))
    except (KeyError, ValueError):  # none, or a date
        return backoff_s
