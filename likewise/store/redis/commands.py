"""Running commands on a Redis server or cluster, with every failure as one of likewise's errors."""

from __future__ import annotations

import threading
from functools import cache
from hashlib import sha1
from typing import TYPE_CHECKING, Any

from redis import RedisCluster
from redis.exceptions import NoScriptError, ResponseError

from likewise.errors import TransientError
from likewise.store.cluster_keys import ClusterKeys
from likewise.store.redis.applying import key_of
from likewise.store.redis.bulk_reading import read_all
from likewise.store.redis.cluster.fan_out import fan_out
from likewise.store.redis.cluster.layout import check_layout
from likewise.store.redis.connection import Client, address, connect, disconnect
from likewise.store.redis.refusals import FAILURES, refusal
from likewise.store.redis.server_state import ServerState, state_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from likewise.errors import LikewiseError
    from likewise.settings import RedisSettings
    from likewise.store.redis.applying import Command
    from likewise.store.redis.bulk_reading import Read


class RedisCommands:
    """Runs commands; connects with the first, and again after an interruption. Thread-safe.

    Every method raises `TransientError` when Redis cannot be reached or refuses for now,
    `SettingsError` when a setting has to change, and `ForeignDataError` when a key holds
    something that likewise did not write.
    """

    def __init__(self, settings: RedisSettings, *, any_layout: bool = False) -> None:
        """Check the settings; nothing connects yet.

        With `any_layout`, a cluster may have other keys than the settings name, or incomplete ones.

        Raises:
            SettingsError: the settings cannot be used.
        """
        self.address = address(settings)
        self._settings = settings
        self._client: Client | None = None
        self._connecting = threading.Lock()
        self._checked = any_layout

    def run(self, *command: str | bytes | int) -> Any:
        """Return the reply to one command."""
        try:
            return self._connected().execute_command(*command)
        except FAILURES as error:
            key = key_of(command, str(error)) if len(command) > 1 else None
            raise self._failure(error, key) from error

    def pipeline(self, commands: Sequence[Command]) -> list[Any]:
        """Return the replies to independent commands, sent together, in their order."""
        if not commands:
            return []
        try:
            with self._connected().pipeline(transaction=False) as pipeline:
                for command in commands:
                    pipeline.execute_command(*command)
                replies: list[Any] = pipeline.execute(raise_on_error=False)
        except FAILURES as error:
            raise self._failure(error) from error
        for command, reply in zip(commands, replies, strict=True):
            if isinstance(reply, Exception):
                raise self._failure(reply, str(command[1])) from reply
        return replies

    def read(self, reads: Sequence[Read]) -> list[Any]:
        """Return the same as `pipeline`, faster, and with lists in place of sets."""
        return self._read(reads, decode=True)

    def read_bytes(self, reads: Sequence[Read]) -> list[Any]:
        """Return the same as `read`, with bytes in place of text."""
        return self._read(reads, decode=False)

    def _read(self, reads: Sequence[Read], *, decode: bool) -> list[Any]:
        if not reads:
            return []
        client = self._connected()
        if isinstance(client, RedisCluster):
            replies = fan_out(client, reads, decode=decode)
            for read, reply in zip(reads, replies, strict=True):
                if isinstance(reply, Exception):
                    raise self._failure(reply, read[1]) from reply
            return replies
        try:
            return read_all(client, reads, decode=decode)
        except ResponseError:
            return self.pipeline(reads)  # the error it raises names the key
        except FAILURES as error:
            raise self._failure(error) from error

    def evaluate(self, scripts: Sequence[Command]) -> list[Any]:
        """Return the reply to each `EVAL` on a cluster, or the error to raise in its place."""
        client = self._connected()
        digests = [
            ("EVALSHA", _digest(str(script)), *arguments) for _, script, *arguments in scripts
        ]
        replies = fan_out(client, digests)
        unknown = [at for at, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        again = fan_out(client, [scripts[at] for at in unknown])
        for at, reply in zip(unknown, again, strict=True):
            replies[at] = reply
        return [
            self._failure(reply, key_of(script, str(reply)))
            if isinstance(reply, Exception)
            else reply
            for script, reply in zip(scripts, replies, strict=True)
        ]

    def scan_sets(self, pattern: str, chunk: int) -> Iterator[list[str]]:
        """Yield the names of all sets that match, about `chunk` at a time, each at least once."""
        return self._scan(pattern, chunk, "set")

    def scan_keys(self, pattern: str, chunk: int) -> Iterator[list[str]]:
        """Yield the names of all keys that match, as `scan_sets` does."""
        return self._scan(pattern, chunk, None)

    def count_keys(self) -> int:
        """Return how many keys all primaries have, with those of other deployments."""
        return sum(int(client.dbsize()) for client in self._primaries())

    def _scan(self, pattern: str, chunk: int, kind: str | None) -> Iterator[list[str]]:
        for client in self._primaries():
            cursor = -1
            while cursor != 0:
                try:
                    cursor, found = client.scan(
                        cursor=max(cursor, 0), match=pattern, count=chunk, _type=kind
                    )
                except FAILURES as error:
                    raise self._failure(error) from error
                if found:
                    yield found

    def server_states(self) -> list[ServerState]:
        """Return the state of each primary. After finding a replica the next call reconnects."""
        states = []
        for client in self._primaries():
            try:
                states.append(state_of(client))
            except FAILURES as error:
                raise self._failure(error) from error
        if any(state.is_replica for state in states):
            self._reconnect()
        return states

    def close(self) -> None:
        """Close all connections; a later call connects again."""
        with self._connecting:
            if self._client is not None:
                self._client.close()
                self._client = None

    def _primaries(self) -> list[Any]:
        client = self._connected()
        if isinstance(client, RedisCluster):
            nodes = client.get_primaries()  # type: ignore[no-untyped-call]  # redis-py left it out
            return [client.get_redis_connection(node) for node in nodes]
        return [client]

    def _failure(self, error: Exception, key: str | None = None) -> LikewiseError:
        """Return the error to raise; after a transient one the next call reconnects.

        Connections outlive a failover behind one host name: a demoted server goes on refusing
        writes over them, while the name already leads to the new primary.
        """
        failure = refusal(error, self.address, key)
        if isinstance(failure, TransientError):
            self._reconnect()
        return failure

    def _reconnect(self) -> None:
        with self._connecting:
            client, self._client = self._client, None
        if client is not None:
            disconnect(client)

    def _connected(self) -> Any:
        with self._connecting:
            if self._client is None:
                try:
                    client = connect(self._settings)
                    if not self._checked:
                        self._check(client)
                except FAILURES as error:
                    raise refusal(error, self.address) from error
                self._client = client
            return self._client

    def _check(self, client: Client) -> None:
        if isinstance(client, RedisCluster):
            keys = ClusterKeys(self._settings.key_prefix, self._settings.buckets)
            check_layout(client.execute_command, keys, self.address)
        self._checked = True


@cache
def _digest(script: str) -> str:
    return sha1(script.encode(), usedforsecurity=False).hexdigest()
