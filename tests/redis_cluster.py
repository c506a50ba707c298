"""A Redis Cluster of three primaries as child processes."""

from __future__ import annotations

import random
import secrets
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from redis import Redis

from likewise.embedded import EmbeddedRedis
from likewise.embedded.ports import HOST, is_free
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PRIMARIES = 3
SLOTS = 16_384
_CONFIG = {"cluster-enabled": "yes", "cluster-config-file": "nodes.conf"}


@contextmanager
def redis_cluster(directory: Path) -> Iterator[str]:
    """Run a new, empty cluster; yields the URL of one of its nodes once every node knows all slots."""
    password = secrets.token_urlsafe()
    with ExitStack() as stack:
        nodes = [
            stack.enter_context(
                EmbeddedRedis(
                    directory / f"node-{number}",
                    port=_free_cluster_port(),
                    config=_CONFIG,
                    password=password,
                )
            )
            for number in range(PRIMARIES)
        ]
        clients = [stack.enter_context(Redis.from_url(node.url)) for node in nodes]
        for number, (client, node) in enumerate(zip(clients, nodes, strict=True)):
            first, after = SLOTS * number // PRIMARIES, SLOTS * (number + 1) // PRIMARIES
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", first, after - 1)
            clients[0].execute_command("CLUSTER", "MEET", HOST, node.port)
        wait_until(lambda: all(map(_is_complete, clients)), "the cluster is complete")
        yield nodes[0].url


def _is_complete(node: Redis) -> bool:
    info = node.execute_command("CLUSTER INFO")  # type: ignore[no-untyped-call]  # of redis-py
    return info["cluster_state"] == "ok" and int(info["cluster_size"]) == PRIMARIES


def _free_cluster_port() -> int:
    """Return a free port whose bus port, 10,000 above, is free and given to no client."""
    ports = random.sample(range(20_000, 22_000), 100)
    return next(port for port in ports if is_free(port) and is_free(port + 10_000))
