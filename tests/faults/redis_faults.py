"""What can befall a Redis server, each for the length of a `with` block."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from redis import Redis

if TYPE_CHECKING:
    from collections.abc import Iterator

    from likewise.embedded import EmbeddedRedis


@contextmanager
def killed(server: EmbeddedRedis) -> Iterator[None]:
    """SIGKILL, and a new start from its append-only file: the last second may be gone."""
    server.kill()
    try:
        yield
    finally:
        server.start()


@contextmanager
def stopped(server: EmbeddedRedis) -> Iterator[None]:
    """SIGTERM, and a new start from its append-only file: nothing is gone."""
    server.stop()
    try:
        yield
    finally:
        server.start()


@contextmanager
def emptied(server: EmbeddedRedis) -> Iterator[None]:
    """Everything in it is gone, at once."""
    with Redis.from_url(server.url) as operator:
        operator.flushall()
    yield


@contextmanager
def out_of_memory(server: EmbeddedRedis) -> Iterator[None]:
    """Every write is refused."""
    with Redis.from_url(server.url) as operator:
        operator.config_set("maxmemory", 1)
        try:
            yield
        finally:
            operator.config_set("maxmemory", 0)


@contextmanager
def read_only(server: EmbeddedRedis) -> Iterator[None]:
    """A replica whose primary can't be reached: it keeps its data and refuses writes."""
    with Redis.from_url(server.url) as operator:
        operator.replicaof("127.0.0.1", 1)
        try:
            yield
        finally:
            operator.replicaof("NO", "ONE")


@contextmanager
def without_replicas(server: EmbeddedRedis) -> Iterator[None]:
    """A primary that must have a replica before it takes writes, and has none."""
    with Redis.from_url(server.url) as operator:
        operator.config_set("min-replicas-to-write", 1)
        try:
            yield
        finally:
            operator.config_set("min-replicas-to-write", 0)


@contextmanager
def slow(server: EmbeddedRedis, each_s: float = 0.4) -> Iterator[None]:
    """It stands still for `each_s`, over and over, with a moment's breath between."""
    ended = threading.Event()

    def hold_up() -> None:
        with Redis.from_url(server.url) as operator:
            while not ended.wait(each_s + 0.05):
                operator.execute_command("CLIENT", "PAUSE", int(each_s * 1000), "ALL")

    holding = threading.Thread(target=hold_up)
    holding.start()
    try:
        yield
    finally:
        ended.set()
        holding.join()


@contextmanager
def hanging(server: EmbeddedRedis, for_s: float) -> Iterator[None]:
    """It takes commands and answers none, for longer than a client waits."""
    with Redis.from_url(server.url) as operator:
        operator.execute_command("CLIENT", "PAUSE", int(for_s * 1000), "ALL")
        yield
