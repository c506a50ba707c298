"""A gateway in its own process, for tests on real servers."""

from __future__ import annotations

import os
import re
import secrets
import socket
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from likewise.settings import LoggingSettings, ModelSettings, RedisSettings, Settings
from likewise.settings.gateway import GatewaySettings
from likewise.settings.loader import environment_of
from tests.services import kafka_settings
from tests.serving_rig import BLOCKS, VERSION, write_block_model
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

_ADDRESS = re.compile(r'"url": ?"http://127\.0\.0\.1:(\d+)/"')
_PATIENCE_S = 30
_RESIDENT = re.compile(r"VmRSS:\s+(\d+) kB")


@dataclass(frozen=True)
class LiveGateway:
    """A running gateway."""

    port: int
    process: subprocess.Popen[bytes]
    log_file: Path
    settings: Settings

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def client(self) -> httpx.Client:
        """Return a client of it, which the caller closes."""
        return httpx.Client(base_url=self.url, timeout=_PATIENCE_S)

    @property
    def log(self) -> str:
        """What it has logged so far."""
        return self.log_file.read_text(encoding="utf-8")

    @property
    def memory_mb(self) -> float:
        """Its resident memory."""
        found = _RESIDENT.search(Path(f"/proc/{self.process.pid}/status").read_text())
        assert found is not None
        return int(found[1]) / 1024

    @property
    def open_files(self) -> int:
        """How many files and connections it has open."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))


@contextmanager
def live_gateway(
    directory: Path, bootstrap_servers: str, redis_url: str, **settings: object
) -> Iterator[LiveGateway]:
    """Run `python -m gateway` with a model of blocks (`tests.serving_rig`); `settings` are of `[gateway]`.

    It logs JSON at the level `debug`, and must end with exit code 0.
    """
    prefix = f"t{secrets.token_hex(4)}."
    write_block_model(directory / "models", VERSION, blocks=BLOCKS, user_ids=True)
    every = Settings(
        kafka=kafka_settings(bootstrap_servers, prefix),
        redis=RedisSettings(url=redis_url, key_prefix=prefix),
        model=ModelSettings(directory=directory / "models"),
        logging=LoggingSettings(level="debug", format="json"),
        gateway=GatewaySettings(port=0, **settings),  # type: ignore[arg-type]  # whichever there are
    )
    log_file = directory / "gateway.log"
    with gateway_process(every, log_file) as process:

        def port() -> int:
            assert process.poll() is None, log_file.read_text()
            found = _ADDRESS.search(log_file.read_text())
            return int(found[1]) if found and _listens(int(found[1])) else 0

        yield LiveGateway(wait_until(port, "the gateway listens"), process, log_file, every)


@contextmanager
def gateway_process(settings: Settings, log_file: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run `python -m gateway`, which must end with exit code 0."""
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway"],
            env={**os.environ, **environment_of(settings)},
            stderr=log,
        )
    try:
        yield process
    finally:
        process.terminate()
        status = process.wait(_PATIENCE_S)
    assert status == 0, log_file.read_text()


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port)):
            return True
    except ConnectionRefusedError:
        return False
