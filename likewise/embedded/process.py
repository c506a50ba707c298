"""A server as a child process: start, wait until it answers, stop, kill, restart."""

from __future__ import annotations

import atexit
import fcntl
import os
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, Self

from likewise.embedded.errors import EmbeddedServerError, PortTakenError
from likewise.embedded.ports import HOST, free_port, is_free

_DIE_WITH_PARENT = Path(__file__).with_name("die_with_parent.py")
_PORT_ATTEMPTS = 5
_POLL_INTERVAL_S = 0.01
_LOG_TAIL_BYTES = 8192
_LOG_TAIL_LINES = 20
# The rest of the environment could change a server: Tansu reads SCHEMA_REGISTRY, AUTHENTICATION...
_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR", "TZ")


class ServerProcess(ABC):
    """One server on a loopback port, with its files in one directory; not thread-safe.

    The server runs in its own session, so that Ctrl-C in a terminal reaches it only through its
    parent. It never outlives its parent: on Linux the kernel ends it even if the parent is killed
    (see `likewise.embedded.die_with_parent`), elsewhere only a normal exit of the parent does.

    A missing directory is created with mode 700; files in it have mode 600.
    """

    name: ClassVar[str]
    log_name: ClassVar[str]
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    stop_timeout_s: ClassVar[float] = 3.0

    def __init__(
        self, directory: Path, *, port: int | None = None, start_timeout_s: float = 20.0
    ) -> None:
        """Start nothing yet. Without a `port`, choose a free one and keep it after the first start."""
        self.directory = directory.absolute()
        self.port = free_port() if port is None else port
        self._port_is_fixed = port is not None
        self._start_timeout_s = start_timeout_s
        self._child: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> list[str]:
        """Return the executable's absolute path and its arguments."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether this server, and no other on its port, answers requests; blocks for at most 1 s."""

    def prepare(self) -> None:  # noqa: B027 - most servers need nothing
        """Write what the server reads when it starts. The directory exists. May block.

        Raises:
            EmbeddedServerError: the files cannot be written.
        """

    @property
    def working_directory(self) -> Path:
        """The working directory of the server."""
        return self.directory

    @property
    def log_path(self) -> Path:
        """The file with the server's output, of all starts."""
        return self.directory / self.log_name

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self._child is not None and self._child.poll() is None

    @property
    def pid(self) -> int | None:
        """The server's process id while it runs."""
        return self._child.pid if self._child is not None and self.running else None

    def start(self) -> None:
        """Return once the server answers; does nothing if it is running.

        Call this from a thread that lives as long as the server: on Linux the server ends with it.

        Raises:
            PortTakenError: another process uses the given port, or that of the first start.
            EmbeddedServerError: the server exited, or did not answer in time.
            MissingExtraError: its executable is not installed.
        """
        if self.running:
            return
        for attempts_left in reversed(range(_PORT_ATTEMPTS)):
            try:
                self._start_on_port()
            except PortTakenError:
                if self._port_is_fixed or not attempts_left:
                    raise
                self.port = free_port()
            else:
                break

    def stop(self) -> None:
        """Ask the server to exit, kill it after `stop_timeout_s`, and reap it; safe at any time."""
        if (child := self._child) is None:
            return
        try:
            child.send_signal(self.stop_signal)
            with suppress(subprocess.TimeoutExpired):
                child.wait(self.stop_timeout_s)
        finally:
            self.kill()

    def kill(self) -> None:
        """End the server and its children with SIGKILL, as a crash would, and reap it."""
        if (child := self._child) is None:
            return
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        self._child = None
        atexit.unregister(self.kill)

    def restart(self) -> None:
        """Stop and start again on the same port, with the same files."""
        self.stop()
        self.start()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start_on_port(self) -> None:
        self.kill()  # reaps a server that exited
        command = self.command()
        if not is_free(self.port):
            raise self._port_taken(command)
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        log = self._open_log(command)
        try:
            self.prepare()
            log_start = os.fstat(log).st_size
            self._child = self._spawn(command, log)
        finally:
            os.close(log)
        atexit.register(self.kill)
        try:
            self._await_answer(self._child, command, log_start)
        except BaseException:
            self.kill()
            raise
        self._port_is_fixed = True

    def _spawn(self, command: list[str], log: int) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(  # noqa: S603 - no shell, and the command is ours
                die_with_parent(command, self.stop_signal),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.working_directory,
                env=_environment(),
                start_new_session=True,
                umask=0o077,
            )
        except OSError as error:
            raise EmbeddedServerError(self.name, str(error), command=command) from error

    def _await_answer(
        self, child: subprocess.Popen[bytes], command: list[str], log_start: int
    ) -> None:
        deadline = time.monotonic() + self._start_timeout_s
        while not self.answers():
            if (status := child.poll()) is not None:
                if not is_free(self.port):
                    raise self._port_taken(command)
                reason = f"it exited with status {status}"
            elif time.monotonic() > deadline:
                reason = f"it did not answer within {self._start_timeout_s:g} s"
            else:
                time.sleep(_POLL_INTERVAL_S)
                continue
            tail = _tail(self.log_path, log_start)
            raise EmbeddedServerError(self.name, reason, command=command, log_tail=tail)

    def _open_log(self, command: list[str]) -> int:
        log = os.open(self.log_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        # The server inherits the lock and holds it while it lives: two servers of a kind in one
        # directory would write to the same files.
        try:
            fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(log)
            reason = f"another one is running in {self.directory}"
            raise EmbeddedServerError(self.name, reason, command=command) from error
        return log

    def _port_taken(self, command: list[str]) -> PortTakenError:
        reason = f"another process listens on {HOST}:{self.port}"
        return PortTakenError(self.name, reason, command=command)


def die_with_parent(command: list[str], death_signal: signal.Signals) -> list[str]:
    """Return a command whose process gets the signal when the calling thread ends; Linux only.

    Elsewhere this is the command itself, which outlives a killed parent. `command` begins with an
    absolute path.
    """
    if sys.platform != "linux":
        return command
    python = [sys.executable, "-I", "-S", str(_DIE_WITH_PARENT)]
    return [*python, str(os.getpid()), str(int(death_signal)), *command]


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    return {**kept, "LC_ALL": "C", "NO_COLOR": "1"}


def _tail(log: Path, start: int) -> list[str]:
    with log.open("rb") as lines:
        size = lines.seek(0, os.SEEK_END)
        lines.seek(max(start, size - _LOG_TAIL_BYTES))
        return lines.read().decode(errors="replace").splitlines()[-_LOG_TAIL_LINES:]
