"""Services as child processes: started, watched, restarted, stopped together."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from likewise.cli.exit_codes import MISSING_EXTRA, USAGE
from likewise.cli.health import ask
from likewise.embedded.process import die_with_parent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

STOP_TIMEOUT_S = 15.0
_TURN_S = 0.2
_FIRST_DELAY_S = 0.5
_LONGEST_DELAY_S = 30.0
_STEADY_S = 60.0
"""The restart delay is reset after a service has run for this long."""
_FINAL = (USAGE, MISSING_EXTRA)
"""Exit codes after which a restart would fail in the same way."""


class ServiceSpec(NamedTuple):
    """The name of a service, how to start it, and its monitoring port."""

    name: str
    arguments: Sequence[str]
    """Arguments of the module, by default `likewise`."""
    environment: Mapping[str, str]
    monitoring_port: int
    module: str = "likewise"
    """The module that is run with these arguments."""
    ready_path: str = "/readyz"
    """Where it answers on its monitoring port once it is ready."""


def likewise_command(*arguments: str, module: str = "likewise") -> list[str]:
    """Return the command that runs likewise, by this interpreter, in the current directory.

    It imports nothing from that directory (`-P`), unless likewise itself is imported from there.
    """
    from_here = Path(__file__).parents[2] == Path.cwd()
    return [sys.executable, *([] if from_here else ["-P"]), "-m", module, *arguments]


class Part(Protocol):
    """What `run_services` runs: a service, or something else that starts with the services."""

    name: str

    def start(self) -> None:
        """Start. Called once, in a thread that outlives the part."""

    def tend(self) -> None:
        """Called several times a second; an error that it raises ends all parts."""

    def ready(self) -> bool:
        """Whether its work has begun, or is done."""

    def ask_to_stop(self) -> None:
        """Begin to stop."""

    def await_end(self, deadline_s: float) -> None:
        """Return when it has stopped, or is made to at the deadline (monotonic)."""


class ServiceEndedError(Exception):
    """A service can't run with its settings; it has reported the reason itself."""

    def __init__(self, name: str, exit_code: int) -> None:
        super().__init__(f"{name} ended with exit code {exit_code}")
        self.exit_code = exit_code


class Service:
    """One service as a child process, whose output is passed on line by line.

    The child has its own session, so that Ctrl-C reaches it only through its parent, and gets SIGTERM
    when its parent is killed.
    """

    def __init__(self, spec: ServiceSpec, tell: Callable[[str, str], None]) -> None:
        """Start nothing yet. `tell` is called with the service's name and a line, in any thread."""
        self.name = spec.name
        self._spec = spec
        self._tell = tell
        self._child: subprocess.Popen[str] | None = None
        self._started_s = 0.0
        self._delay_s = _FIRST_DELAY_S
        self._start_at_s: float | None = None

    def start(self) -> None:
        """Start the process. Call it in a thread that outlives the process."""
        self._child = subprocess.Popen(  # noqa: S603 - no shell, and the command is ours
            die_with_parent(
                likewise_command(*self._spec.arguments, module=self._spec.module), signal.SIGTERM
            ),
            env=dict(self._spec.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._started_s = time.monotonic()
        self._start_at_s = None
        reading = threading.Thread(
            target=self._read, args=[self._child], name=f"log of {self.name}", daemon=True
        )
        reading.start()

    def tend(self) -> None:
        """Restart the process if it has ended and its delay is over.

        Raises:
            ServiceEndedError: it ended with an exit code that a restart would not change.
        """
        if self._start_at_s is not None:
            if time.monotonic() >= self._start_at_s:
                self.start()
        elif self._child is not None and (status := self._child.poll()) is not None:
            if status in _FINAL:
                raise ServiceEndedError(self.name, status)
            self._schedule(status)

    def ready(self) -> bool:
        """Whether the service reports that it is ready."""
        return self._running() and ask(self._spec.monitoring_port, self._spec.ready_path)[0]

    def ask_to_stop(self) -> None:
        """Send SIGTERM; the service finishes its current batch."""
        if self._child is not None and self._running():
            self._child.terminate()

    def await_end(self, deadline_s: float) -> None:
        """Return when the process has ended; kill it after the deadline (monotonic)."""
        if self._child is None:
            return
        with suppress(subprocess.TimeoutExpired):
            self._child.wait(max(deadline_s - time.monotonic(), 0))
            return
        self._tell(self.name, "did not stop in time and was killed; nothing is lost")
        self._child.kill()
        self._child.wait()

    def _running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def _schedule(self, status: int) -> None:
        lived_s = time.monotonic() - self._started_s
        if lived_s >= _STEADY_S:
            self._delay_s = _FIRST_DELAY_S
        how = f"by signal {-status}" if status < 0 else f"with exit code {status}"
        self._tell(self.name, f"ended {how}; restarting in {self._delay_s:g} s")
        self._start_at_s = time.monotonic() + self._delay_s
        self._delay_s = min(self._delay_s * 2, _LONGEST_DELAY_S)

    def _read(self, child: subprocess.Popen[str]) -> None:
        assert child.stdout is not None  # noqa: S101 - a pipe was asked for
        with child.stdout as lines:
            for line in lines:
                self._tell(self.name, line.rstrip("\n"))


def run_services(
    services: Sequence[Part],
    stop: threading.Event,
    *,
    on_ready: Callable[[], None],
    check: Callable[[], None],
) -> None:
    """Keep the services running until `stop` is set, then stop them all.

    Calls `on_ready` once, when all services are ready for the first time, and `check` in every turn;
    an error that `check` raises stops the services too. Blocks. Call it in the main thread.

    Raises:
        ServiceEndedError: a service can't run with its settings; the others have been stopped.
    """
    try:
        for service in services:
            service.start()
        waiting_for = list(services)
        while not stop.wait(_TURN_S):
            check()
            for service in services:
                service.tend()
            if waiting_for:
                waiting_for = [service for service in waiting_for if not service.ready()]
                if not waiting_for:
                    on_ready()
    finally:
        for service in services:
            service.ask_to_stop()
        deadline_s = time.monotonic() + STOP_TIMEOUT_S
        for service in services:
            service.await_end(deadline_s)
