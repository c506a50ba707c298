"""Redis Sentinel as child processes, for tests of a failover."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from redis import Redis
from redis.exceptions import RedisError

from likewise.embedded import ServerProcess
from likewise.embedded.binaries import redis_binary
from likewise.embedded.ports import HOST

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from likewise.embedded import EmbeddedRedis

SERVICE = "likes-primary"
PASSWORD = "sentinels-staple"
_CONFIG = """\
bind {host}
port {port}
requirepass {password}
sentinel sentinel-pass {password}
sentinel monitor {service} {host} {primary_port} {quorum}
sentinel auth-pass {service} {primary_password}
sentinel down-after-milliseconds {service} 500
sentinel failover-timeout {service} 3000
"""


class Sentinel(ServerProcess):
    """One sentinel, with a password."""

    name = "The sentinel"
    log_name = "sentinel.log"

    def __init__(self, directory: Path, primary: EmbeddedRedis, *, quorum: int) -> None:
        super().__init__(directory)
        self._primary = primary
        self._quorum = quorum

    def command(self) -> list[str]:
        return [str(redis_binary()), str(self.directory / "sentinel.conf"), "--sentinel"]

    def prepare(self) -> None:
        config = _CONFIG.format(
            host=HOST,
            port=self.port,
            password=PASSWORD,
            service=SERVICE,
            primary_port=self._primary.port,
            primary_password=self._primary.password,
            quorum=self._quorum,
        )
        (self.directory / "sentinel.conf").write_text(config, encoding="utf-8")

    def answers(self) -> bool:
        with Redis(port=self.port, password=PASSWORD, socket_timeout=1.0) as client:
            try:
                return bool(client.ping())
            except RedisError:
                return False


@contextmanager
def sentinels(directory: Path, primary: EmbeddedRedis, *, count: int = 3) -> Iterator[list[int]]:
    """Run sentinels that watch the primary; yields their ports once each knows the others."""
    with ExitStack() as stack:
        started = [
            stack.enter_context(
                Sentinel(directory / f"sentinel-{number}", primary, quorum=count // 2 + 1)
            )
            for number in range(count)
        ]
        yield [sentinel.port for sentinel in started]
