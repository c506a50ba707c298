"""A deployment as separate processes, which can be killed, and its settings."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from likewise.settings import (
    ConsumerSettings,
    IndexerSettings,
    LoggingSettings,
    ModelSettings,
    RedisSettings,
    ServingSettings,
    Settings,
)
from likewise.settings.loader import environment_of
from tests.faults.traffic import SIGNALS
from tests.services import kafka_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.faults.crash_points import CrashPoint

ROOT = Path(__file__).parents[2]
_CRASHING = Path(__file__).with_name("crashing.py")
_JUMPING = Path(__file__).with_name("jumping.py")
STOP_TIMEOUT_S = 30.0
SERVICES = ("consumers", "consumers", "indexer", "serving", "serving")


def settings_for(
    bootstrap_servers: str,
    redis_url: str,
    prefix: str,
    directory: Path,
    *,
    session_timeout_ms: int = 2_000,
) -> Settings:
    """Return settings that make everything happen often: small batches, a build every second."""
    return Settings(
        kafka=kafka_settings(
            bootstrap_servers,
            prefix,
            partitions=4,
            session_timeout_ms=session_timeout_ms,
            request_timeout_ms=10_000,
        ),
        redis=RedisSettings(url=redis_url, key_prefix=prefix, timeout_s=2.0),
        consumer=ConsumerSettings(max_records=100, poll_timeout_ms=50),
        indexer=IndexerSettings(
            interval_s=2.0, min_interval_s=1.0, changed_share=0.05, keep_versions=3, lease_ms=2_000
        ),
        serving=ServingSettings(poll_timeout_ms=20, max_batch=50, model_check_interval_s=0.2),
        model=ModelSettings(directory=directory / "models", ranker="blend", rank=8, trees=2),
        signals=SIGNALS,
        logging=LoggingSettings(format="json"),
    )


class Service:
    """One service in a separate process, which can be killed and started again."""

    def __init__(
        self,
        name: str,
        settings: Settings,
        directory: Path,
        number: int,
        clock_file: Path | None = None,
    ) -> None:
        self.name = name
        self._clock_file = clock_file
        self.log = directory / f"{name}-{number}.log"
        self._directory = directory
        self._environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("LIKEWISE_")},
            **environment_of(settings),
            "PYTHONPATH": str(ROOT),
            # Two cores carry the servers, the services and the harness.
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }
        self.log.touch()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    def start(self) -> None:
        """Start the service; it is ready after about a second."""
        if self._clock_file is None:
            self._spawn(["-m", self.name])
        else:
            self._spawn([str(_JUMPING), self.name, str(self._clock_file)])

    def start_to_crash_at(self, point: CrashPoint, nth: int) -> None:
        """Start the service so that it kills itself at the crash point's `nth` call."""
        assert point.service == self.name
        when = "before" if point.before else "after"
        self._spawn([str(_CRASHING), point.service, point.call, when, str(nth)])

    def kill(self) -> None:
        """SIGKILL the service; fail the test if it has ended before."""
        self.check_alive()
        self.process.kill()
        self.process.wait()

    def died_by_sigkill(self) -> bool:
        """Whether it has killed itself; any other end fails the test."""
        status = self.process.poll()
        if status is not None:
            assert status == -signal.SIGKILL, self.last_lines()
        return status is not None

    def check_alive(self) -> None:
        """Fail the test if the service has ended."""
        assert self.process.poll() is None, self.last_lines()

    def stop(self) -> None:
        """Send SIGTERM; fail the test if it does not end in time with status 0, or by the signal while it starts."""
        self.check_alive()
        self.process.terminate()
        status = self.process.wait(STOP_TIMEOUT_S)
        assert status in (0, -signal.SIGTERM), self.last_lines()

    def end(self) -> None:
        """Kill the process if there is one."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _spawn(self, arguments: Sequence[str]) -> None:
        assert self._process is None or self._process.poll() is not None
        self._process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=self._directory,
            env=self._environment,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
        )
        # A test may limit the size of the service's files, which must not limit its log.
        threading.Thread(target=self._keep_log, args=[self._process], daemon=True).start()

    def _keep_log(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stderr is not None
        with process.stderr as lines, self.log.open("ab", buffering=0) as log:
            for line in lines:
                log.write(line)

    def last_lines(self) -> str:
        """Return its exit status and the end of its log, for the message of a failure."""
        tail = self.log.read_text(errors="replace").splitlines()[-20:]
        status = None if self._process is None else self._process.returncode
        return f"{self.name} ended with {status}; its log ends:\n" + "\n".join(tail)


@contextmanager
def deployed(
    settings: Settings,
    directory: Path,
    services: Sequence[str] = SERVICES,
    *,
    clock_file: Path | None = None,
) -> Iterator[list[Service]]:
    """Run these services for the length of a `with` block, and stop them cleanly.

    Their wall clocks are off by the seconds in `clock_file`, if one is given.
    """
    with ExitStack() as stack:
        running = []
        for number, name in enumerate(services):
            service = Service(name, settings, directory, number, clock_file)
            stack.callback(service.end)
            service.start()
            running.append(service)
        yield running
        for service in running:
            service.stop()
