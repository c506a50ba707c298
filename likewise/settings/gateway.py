"""The settings `[gateway]`."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class GatewaySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The gateway, which serves the HTTP API and the page."""

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: Annotated[int, Meta(ge=0, le=65_535)] = 8080
    """Port to listen on. 0: a free one, which the log names."""
    max_requests_in_flight: Annotated[int, Meta(ge=1, le=100_000)] = 1_000
    """Requests that are answered at the same time. Further ones get an error and can be retried."""
    max_batch: Annotated[int, Meta(ge=1, le=10_000)] = 256
    """Maximum number of requests ranked together. The gateway never waits for a batch to fill."""
    threads: Annotated[int, Meta(ge=1, le=64)] = 2
    """Threads that rank; see `serving.threads`."""
    wait_timeout_ms: Annotated[int, Meta(ge=1)] = 5_000
    """How long a write with `wait=applied`, and a request with `after`, waits for its event."""
    page: bool = True
    """Whether to serve the page."""
    image_sources: tuple[str, ...] = ("https:",)
    """Where the page may load pictures from, separated by commas: schemes or origins as in a Content
    Security Policy."""
