"""The settings `[gateway]`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from likewise.settings.types import Seconds, Secret


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
    keys_file: Path | None = None
    """File of API keys, which `likewise keys` writes. A change counts within a second. Keys are required
    on every address that other machines can connect to; once there are keys, they are required everywhere."""
    api_key: Secret | None = None
    """A single key with all roles, of at least 32 characters, for a deployment without a file of keys.
    `api_key_file` names a file that holds it instead."""
    allowed_hosts: tuple[str, ...] = ()
    """Further host names by which clients call the gateway, without ports. Without keys, others than
    `localhost` and loopback addresses are refused; with keys, others are refused if this is set."""
    cors_origins: tuple[str, ...] = ()
    """Origins of other sites whose pages may call the API, such as `https://shop.example.com`."""
    requests_per_s: Annotated[float, Meta(ge=0)] | None = None
    """Requests a second that each key may make; costly ones count several times. Clients without a key
    share this by address. 0: no limit. Default: 1,000 with keys, no limit without."""
    max_connections: Annotated[int, Meta(ge=1, le=100_000)] = 4_096
    """Open connections. Further ones are refused. Each takes a file descriptor."""
    header_timeout_s: Seconds = 10.0
    """How long a client may take to send the head of a request."""
    body_timeout_s: Seconds = 30.0
    """How long a client may take to send a body, and a second more for each 16 KiB."""
    write_timeout_s: Seconds = 30.0
    """How long a client may leave an answer unread, and a second more for each 16 KiB that it reads."""
    idle_timeout_s: Seconds = 60.0
    """Connections without a request are closed after this time."""
