"""A Dask scheduler and workers as processes of this test, on the loopback interface."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from distributed import Client

from likewise.embedded import free_port
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self


PREFIX = "dask."
"""Of the keys that the workers read."""


class DaskCluster:
    """One scheduler and some workers, which can be killed one by one."""

    def __init__(self, directory: Path, redis_url: str, workers: int = 2) -> None:
        """Start nothing yet; the workers read this Redis."""
        self._directory = directory
        self._port = free_port()
        self._environment = {
            **os.environ,
            "LIKEWISE_REDIS_URL": redis_url,
            "LIKEWISE_REDIS_KEY_PREFIX": PREFIX,
        }
        self._count = workers
        self._scheduler: subprocess.Popen[bytes] | None = None
        self.workers: list[subprocess.Popen[bytes]] = []

    @property
    def address(self) -> str:
        """The address of the scheduler."""
        return f"tcp://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        """Start the scheduler and the workers."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Kill all of them."""
        for process in (*self.workers, self._scheduler):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()

    def start(self) -> None:
        """Start the scheduler, at the same address as before, and as many workers as are missing."""
        if self._scheduler is None:
            port = str(self._port)
            self._scheduler = self._run("dask_scheduler", "--host", "127.0.0.1", "--port", port)
            wait_until(self._answers, "a scheduler that listens")
        self.workers = [one for one in self.workers if one.poll() is None]
        while len(self.workers) < self._count:
            # A worker that has found no scheduler yet gives up, as one that has lost it does.
            options = (
                "--death-timeout",
                "10",
                "--nthreads",
                "1",
                "--no-nanny",
                "--local-directory",
                str(self._directory),
            )
            self.workers.append(self._run("dask_worker", self.address, *options))
        if not self._count:
            return

        with Client(self.address, timeout=90, set_as_default=False) as client:
            client.wait_for_workers(self._count, timeout=90)

    def kill_worker(self) -> None:
        """Kill a worker, as the kernel does when memory runs out."""
        self.workers[0].send_signal(signal.SIGKILL)
        self.workers[0].wait()

    def kill_scheduler(self) -> None:
        """Kill the scheduler; its workers end by themselves."""
        assert self._scheduler is not None
        self._scheduler.kill()
        self._scheduler.wait()
        self._scheduler = None
        wait_until(
            lambda: all(one.poll() is not None for one in self.workers),
            timeout_s=60,
            what="workers that notice that their scheduler is gone",
        )

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self._port), timeout=1):
            return True
        return False

    def _run(self, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.{module}", *arguments, "--no-dashboard"]
        log = (self._directory / f"{module}-{free_port()}.log").open("wb")
        with log:
            return subprocess.Popen(
                command, env=self._environment, stdout=log, stderr=subprocess.STDOUT
            )
