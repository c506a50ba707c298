"""The embedded Redis: durable to the last second, private to this machine."""

from __future__ import annotations

import shlex
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

from likewise.embedded.binaries import redis_binary, version_of
from likewise.embedded.ports import HOST
from likewise.embedded.process import ServerProcess

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_CONFIG = {
    "daemonize": "no",
    "protected-mode": "yes",
    "save": '""',
    "appendonly": "yes",
    "appendfsync": "everysec",
    # A like that does not fit is refused and tried again; evicting would lose another user's.
    "maxmemory-policy": "noeviction",
}
_PROBE = b"PING\r\nINFO server\r\nQUIT\r\n"
_PROBE_TIMEOUT_S = 1.0


class EmbeddedRedis(ServerProcess):
    """A Redis whose append-only file is in its directory, and is read again by the next start."""

    name = "The embedded Redis"
    log_name = "redis.log"

    def __init__(
        self,
        directory: Path,
        *,
        port: int | None = None,
        config: Mapping[str, str] | None = None,
        start_timeout_s: float = 20.0,
    ) -> None:
        """See `ServerProcess`.

        `config` adds to the settings or replaces them, with values as redis.conf has them
        (`{"maxmemory": "64mb", "save": '""'}`). No password: the readiness probe gives none.
        """
        super().__init__(directory, port=port, start_timeout_s=start_timeout_s)
        self._config = dict(config or {})

    @property
    def url(self) -> str:
        """What Redis clients connect to: "redis://127.0.0.1:6379/0"."""
        return f"redis://{HOST}:{self.port}/0"

    @property
    def description(self) -> str:
        """For people: "Redis 7.2.5"."""
        return f"Redis {version_of(redis_binary())}"

    def command(self) -> list[str]:
        """Return redis-server's command; all settings are in its arguments."""
        settings = {"bind": HOST, "port": str(self.port), **_CONFIG, **self._config}
        command = [str(redis_binary())]
        for name, value in settings.items():
            command += [f"--{name}", *shlex.split(value)]
        return command

    def answers(self) -> bool:
        """Whether our process answers PING on our port; not while it loads its file."""
        try:
            with socket.create_connection((HOST, self.port), _PROBE_TIMEOUT_S) as connection:
                connection.settimeout(_PROBE_TIMEOUT_S)
                connection.sendall(_PROBE)
                with connection.makefile("rb") as replies:
                    lines = replies.read().splitlines()
        except OSError:
            return False
        return lines[:1] == [b"+PONG"] and f"process_id:{self.pid}".encode() in lines


@contextmanager
def embedded_redis(
    directory: Path, *, port: int | None = None, config: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Run a Redis for the length of a `with` block; yields its URL."""
    with EmbeddedRedis(directory, port=port, config=config) as redis:
        yield redis.url
