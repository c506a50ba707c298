"""A Redis Cluster as child processes: primaries, and replicas that replace them."""

from __future__ import annotations

import os
import random
import secrets
import signal
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

from redis import Redis
from redis.crc import key_slot
from redis.exceptions import RedisError

from likewise.embedded import EmbeddedRedis
from likewise.embedded.ports import HOST, is_free
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PRIMARIES = 3
SLOTS = 16_384
TIMEOUT_S = 60.0
_CONFIG = {
    "cluster-enabled": "yes",
    "cluster-config-file": "nodes.conf",
    "cluster-node-timeout": "1500",
    # A replica may be promoted however far it is behind: the harness causes just that.
    "cluster-replica-validity-factor": "0",
    "repl-diskless-sync-delay": "0",
}


class ClusterServers:
    """The servers of a cluster, by number: the first primaries, then a replica of each."""

    def __init__(self, servers: list[EmbeddedRedis]) -> None:
        self._servers = servers
        self._clients: dict[int, Any] = {}

    def close(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            client.close()

    @property
    def url(self) -> str:
        """The URL of a server that runs."""
        return next(server.url for server in self._servers if server.running)

    def client(self, number: int) -> Any:
        """Return a client of one server."""
        if number not in self._clients:
            self._clients[number] = Redis.from_url(self._servers[number].url, decode_responses=True)
        return self._clients[number]

    def create(self, primaries: int) -> None:
        """Give each primary its slots, and a replica if there are servers left."""
        clients = [self.client(number) for number in range(len(self._servers))]
        for number, client in enumerate(clients):
            if number < primaries:
                first, after = SLOTS * number // primaries, SLOTS * (number + 1) // primaries
                client.execute_command("CLUSTER", "ADDSLOTSRANGE", first, after - 1)
            clients[0].execute_command("CLUSTER", "MEET", HOST, self._servers[number].port)
        wait_until(lambda: all(map(_is_complete, clients)), "the cluster is complete", TIMEOUT_S)
        for number in range(primaries, len(clients)):
            primary = clients[number % primaries].execute_command("CLUSTER", "MYID")

            def replicates(client: Any = clients[number], primary: str = primary) -> bool:
                with suppress(RedisError):  # it may not know the primary yet
                    client.execute_command("CLUSTER", "REPLICATE", primary)
                return bool(client.info("replication").get("master_link_status") == "up")

            wait_until(replicates, "a replica follows its primary", TIMEOUT_S)

    def primaries(self) -> list[int]:
        """Return the running servers that are primaries."""
        return [
            at for at in self._running() if self.client(at).info("replication")["role"] == "master"
        ]

    def replica_of(self, primary: int) -> int:
        """Return a running replica of the primary."""
        port = self._servers[primary].port
        return next(
            at
            for at in self._running()
            if self.client(at).info("replication").get("master_port") == port
        )

    def kill(self, number: int) -> None:
        """SIGKILL a server."""
        self._servers[number].kill()

    def pause(self, number: int, *, on: bool) -> None:
        """Stop a server with its connections open, or let it continue."""
        pid = self._servers[number].pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP if on else signal.SIGCONT)

    def wait_until_promoted(self, replica: int) -> None:
        """Return once the replica is a primary."""
        wait_until(lambda: replica in self.primaries(), "the replica is promoted", TIMEOUT_S)

    def restart(self, number: int) -> None:
        """Start a killed server, and return once it follows the primary that replaced it."""
        self._servers[number].start()
        wait_until(
            lambda: self.client(number).info("replication").get("master_link_status") == "up",
            "the server follows the new primary",
            TIMEOUT_S,
        )

    def move_slot(self, key: str) -> None:
        """Move the slot of the key to another primary, key by key, as `redis-cli --cluster reshard` does."""
        slot = key_slot(key.encode())
        primaries = {at: self.client(at) for at in self.primaries()}
        ids = {at: one.execute_command("CLUSTER", "MYID") for at, one in primaries.items()}
        source = next(at for at, one in primaries.items() if _has(one, slot, ids[at]))
        target = next(at for at in primaries if at != source)
        primaries[target].execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[source])
        primaries[source].execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target])
        server = self._servers[target]
        while keys := primaries[source].execute_command("CLUSTER", "GETKEYSINSLOT", slot, 50):
            primaries[source].execute_command(
                "MIGRATE", HOST, server.port, "", 0, 5_000, "AUTH", server.password, "KEYS", *keys
            )
        for at in (target, source, *(primaries.keys() - {source, target})):
            primaries[at].execute_command("CLUSTER", "SETSLOT", slot, "NODE", ids[target])

    def _running(self) -> list[int]:
        return [at for at, server in enumerate(self._servers) if server.running]


@contextmanager
def redis_servers(directory: Path, *, replicas: bool = True) -> Iterator[ClusterServers]:
    """Run a new, empty cluster of three primaries, each with a replica unless told otherwise."""
    password = secrets.token_urlsafe()
    with ExitStack() as stack:
        servers = [
            stack.enter_context(
                EmbeddedRedis(
                    directory / f"node-{number}",
                    port=_free_cluster_port(),
                    config={**_CONFIG, "masterauth": password},
                    password=password,
                    unrestricted=True,
                )
            )
            for number in range(PRIMARIES * (2 if replicas else 1))
        ]
        cluster = ClusterServers(servers)
        stack.callback(cluster.close)
        cluster.create(PRIMARIES)
        yield cluster


@contextmanager
def redis_cluster(directory: Path) -> Iterator[str]:
    """Run a cluster without replicas; yields the URL of one of its servers."""
    with redis_servers(directory, replicas=False) as cluster:
        yield cluster.url


def _is_complete(node: Any) -> bool:
    info = node.execute_command("CLUSTER INFO")
    return info["cluster_state"] == "ok" and int(info["cluster_size"]) == PRIMARIES


def _has(node: Any, slot: int, node_id: str) -> bool:
    for first, last, primary, *_ in node.execute_command("CLUSTER SLOTS"):
        if first <= slot <= last:
            return bool(primary[2] == node_id)
    return False


def _free_cluster_port() -> int:
    """Return a free port whose bus port, 10,000 above, is free and given to no client."""
    ports = random.sample(range(20_000, 22_000), 100)
    return next(port for port in ports if is_free(port) and is_free(port + 10_000))
