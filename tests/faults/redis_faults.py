"""Faults of a Redis server, each for the length of a `with` block."""

from __future__ import annotations

import shutil
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from redis import Redis

if TYPE_CHECKING:
    from collections.abc import Iterator

    from likewise.embedded import EmbeddedRedis

_AOF = "appendonlydir"


@contextmanager
def killed(server: EmbeddedRedis) -> Iterator[None]:
    """Kill it, and restart it from its append-only file: the last second of writes may be lost."""
    server.kill()
    try:
        yield
    finally:
        server.start()


@contextmanager
def stopped(server: EmbeddedRedis) -> Iterator[None]:
    """Stop it, and restart it from its append-only file: nothing is lost."""
    server.stop()
    try:
        yield
    finally:
        server.start()


@contextmanager
def restored(server: EmbeddedRedis) -> Iterator[None]:
    """Copy its data; later kill it, and restart it with that copy: data and positions go back."""
    data, copy = server.directory / _AOF, server.directory / "copy"
    shutil.copytree(data, copy)
    try:
        yield
    finally:
        server.kill()
        shutil.rmtree(data)
        copy.rename(data)
        server.start()


@contextmanager
def emptied(server: EmbeddedRedis) -> Iterator[None]:
    """Delete everything in it at once."""
    with Redis.from_url(server.url) as operator:
        operator.flushall()
    yield


@contextmanager
def out_of_memory(server: EmbeddedRedis) -> Iterator[None]:
    """Make it refuse every write."""
    with Redis.from_url(server.url) as operator:
        operator.config_set("maxmemory", 1)
        try:
            yield
        finally:
            operator.config_set("maxmemory", 0)


@contextmanager
def read_only(server: EmbeddedRedis) -> Iterator[None]:
    """Make it a replica whose primary can't be reached: it keeps its data and refuses writes."""
    with Redis.from_url(server.url) as operator:
        operator.replicaof("127.0.0.1", 1)
        try:
            yield
        finally:
            operator.replicaof("NO", "ONE")


@contextmanager
def without_replicas(server: EmbeddedRedis) -> Iterator[None]:
    """Make it wait for a replica before it accepts writes; it has none."""
    with Redis.from_url(server.url) as operator:
        operator.config_set("min-replicas-to-write", 1)
        try:
            yield
        finally:
            operator.config_set("min-replicas-to-write", 0)


@contextmanager
def slow(server: EmbeddedRedis, each_s: float = 0.4) -> Iterator[None]:
    """Pause it for `each_s`, again and again, with short breaks."""
    ended = threading.Event()

    def pause() -> None:
        with Redis.from_url(server.url) as operator:
            while not ended.wait(each_s + 0.05):
                operator.execute_command("CLIENT", "PAUSE", int(each_s * 1000), "ALL")

    pausing = threading.Thread(target=pause)
    pausing.start()
    try:
        yield
    finally:
        ended.set()
        pausing.join()


@contextmanager
def hanging(server: EmbeddedRedis, for_s: float) -> Iterator[None]:
    """Pause it for longer than a client waits."""
    with Redis.from_url(server.url) as operator:
        operator.execute_command("CLIENT", "PAUSE", int(for_s * 1000), "ALL")
        yield
