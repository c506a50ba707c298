"""Both servers at once: what `likewise` needs to run on one machine."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from likewise.embedded.broker import EmbeddedBroker
from likewise.embedded.redis_server import EmbeddedRedis

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class EmbeddedServers:
    """The servers' addresses, and descriptions for people."""

    bootstrap_servers: str
    redis_url: str
    """With the password; `redis_address` is for people."""
    redis_address: str
    broker_description: str
    redis_description: str


@contextmanager
def embedded_servers(
    directory: Path, *, broker_port: int | None = None, redis_port: int | None = None
) -> Iterator[EmbeddedServers]:
    """Run a broker and a Redis during a `with` block, with their files in `directory`.

    Raises:
        EmbeddedServerError: one of them did not start; the other was stopped.
        MissingExtraError: the extra `embedded` is not installed.
    """
    with (
        EmbeddedRedis(directory, port=redis_port) as redis,
        EmbeddedBroker(directory, port=broker_port) as broker,
    ):
        yield EmbeddedServers(
            bootstrap_servers=broker.bootstrap_servers,
            redis_url=redis.url,
            redis_address=redis.address,
            broker_description=broker.description,
            redis_description=redis.description,
        )
