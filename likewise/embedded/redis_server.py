"""The embedded Redis: loses at most one second of writes, and asks for a password."""

from __future__ import annotations

import os
import secrets
import shlex
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

from likewise.embedded.binaries import redis_binary, redis_name
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
    # A write that does not fit is refused and retried; eviction would lose other users' likes.
    "maxmemory-policy": "noeviction",
}
_SWITCHED_OFF = ("ACL", "CONFIG", "DEBUG", "MIGRATE", "MODULE", "REPLICAOF", "SLAVEOF")
"""Commands that write files, load code or fetch data from elsewhere; not needed here."""
_PASSWORD_BYTES = 24
_PROBE = "AUTH {password}\r\nPING\r\nINFO server\r\nQUIT\r\n"
_PROBE_TIMEOUT_S = 1.0


class EmbeddedRedis(ServerProcess):
    """A Redis whose append-only file is in its directory; the next start reads it.

    Every user of the machine can connect to loopback, so the server asks for a password. It is
    written to files of mode 600 and to no command line.
    """

    name = "The embedded Redis"
    log_name = "redis.log"

    def __init__(
        self,
        directory: Path,
        *,
        port: int | None = None,
        config: Mapping[str, str] | None = None,
        password: str | None = None,
        unrestricted: bool = False,
        start_timeout_s: float = 20.0,
    ) -> None:
        """See `ServerProcess`.

        `config` adds or replaces settings, with values as in redis.conf
        (`{"maxmemory": "64mb", "save": '""'}`). The `password` is random unless given, and stays
        the same over all starts. `unrestricted` keeps CONFIG, REPLICAOF and similar commands, for tests.
        """
        super().__init__(directory, port=port, start_timeout_s=start_timeout_s)
        self._config = dict(config or {})
        self.password = password or secrets.token_urlsafe(_PASSWORD_BYTES)
        self._unrestricted = unrestricted

    @property
    def url(self) -> str:
        """The address for Redis clients, with the password: "redis://:…@127.0.0.1:6379/0"."""
        return f"redis://:{self.password}@{HOST}:{self.port}/0"

    @property
    def address(self) -> str:
        """The URL without the password, for people and for settings."""
        return f"redis://{HOST}:{self.port}/0"

    @property
    def password_path(self) -> Path:
        """A file of mode 600 that holds the password, once the server has been started."""
        return self.directory / "password"

    @property
    def description(self) -> str:
        """For people: "Valkey 9.1.2"."""
        return redis_name(redis_binary())

    def command(self) -> list[str]:
        """Return the server's command; its arguments hold all settings except the password."""
        settings = {"bind": HOST, "port": str(self.port), **_CONFIG, **self._config}
        command = [str(redis_binary()), str(self._secrets_path)]
        for name, value in settings.items():
            command += [f"--{name}", *shlex.split(value)]
        return command

    def prepare(self) -> None:
        """Write the password twice: for the server, and for clients that its owner runs."""
        lines = [f"requirepass {self.password}"]
        if not self._unrestricted:
            lines += [f'rename-command {command} ""' for command in _SWITCHED_OFF]
        _write_private(self._secrets_path, "\n".join(lines))
        _write_private(self.password_path, self.password)

    def answers(self) -> bool:
        """Whether our process answers PING on our port; false while it loads its file."""
        probe = _PROBE.format(password=self.password).encode()
        try:
            with socket.create_connection((HOST, self.port), _PROBE_TIMEOUT_S) as connection:
                connection.settimeout(_PROBE_TIMEOUT_S)
                connection.sendall(probe)
                with connection.makefile("rb") as replies:
                    lines = replies.read().splitlines()
        except OSError:
            return False
        return b"+PONG" in lines[:2] and f"process_id:{self.pid}".encode() in lines

    @property
    def _secrets_path(self) -> Path:
        return self.directory / "secrets.conf"


@contextmanager
def embedded_redis(
    directory: Path,
    *,
    port: int | None = None,
    config: Mapping[str, str] | None = None,
    unrestricted: bool = False,
) -> Iterator[str]:
    """Run a Redis during a `with` block; yields its URL, password included."""
    with EmbeddedRedis(directory, port=port, config=config, unrestricted=unrestricted) as redis:
        yield redis.url


def _write_private(path: Path, text: str) -> None:
    """Replace the file by one that only its owner can read."""
    aside = path.with_name(f"{path.name}.new")
    aside.unlink(missing_ok=True)
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(f"{text}\n")
    aside.replace(path)
