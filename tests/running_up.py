"""Runs `likewise up` in its own process, as a user does, and finds what it leaves behind."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from likewise.embedded import free_port
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).parents[1]
START_TIMEOUT_S = 90.0


@dataclass
class RunningUp:
    """A run of `likewise up`, its ports, and its output so far."""

    process: subprocess.Popen[str]
    kafka_port: int
    redis_port: int
    http_port: int
    home: Path
    lines: list[str] = field(default_factory=list)

    @property
    def bootstrap_servers(self) -> str:
        return f"127.0.0.1:{self.kafka_port}"

    @property
    def redis_url(self) -> str:
        """As foreign clients need it; likewise's own commands find the password themselves."""
        for path in (self.home / "likewise").glob("up-*/deployment.json"):
            settings = json.loads(path.read_text())["settings"]
            if settings["redis.url"] == self.redis_address:
                return f"redis://:{settings['redis.password']}@127.0.0.1:{self.redis_port}/0"
        raise AssertionError("this run has left no record")

    @property
    def page(self) -> str:
        """The address of the page and the HTTP API."""
        return f"http://localhost:{self.http_port}"

    @property
    def redis_address(self) -> str:
        return f"redis://127.0.0.1:{self.redis_port}/0"

    def await_line(self, pattern: str, *, start: int = 0) -> re.Match[str]:
        """Return the first match in the lines from `start` on, waiting for it."""

        def match() -> re.Match[str] | None:
            found = (re.search(pattern, line) for line in self.lines[start:])
            return next(filter(None, found), None)

        return wait_until(
            match,
            lambda: f"a line like {pattern!r} in:\n" + "\n".join(self.lines),
            START_TIMEOUT_S,
        )


@contextmanager
def running_up(home: Path, *arguments: str) -> Iterator[RunningUp]:
    """Run `likewise up` on free ports during a `with` block, with its state in `home`."""
    options = ("--port-kafka", "--port-redis", "--port-http")
    kafka_port, redis_port, http_port = (free_port() for _ in options)
    ports = [*chain(*zip(options, map(str, (kafka_port, redis_port, http_port)), strict=True))]
    process = subprocess.Popen(
        [Path(sys.executable).with_name("likewise"), "up", *ports, *arguments],
        cwd=home,
        env=environment(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    up = RunningUp(process, kafka_port, redis_port, http_port, home)
    reading = threading.Thread(target=_read, args=[up], daemon=True)
    reading.start()
    started: list[int] = []
    try:
        yield up
        started = descendants(process.pid)
    finally:
        process.terminate()
        try:
            process.wait(30)
        finally:
            process.kill()
            process.wait()
            reading.join(10)
            assert process.stdout is not None
            process.stdout.close()
    assert alive(started) == []


def environment(home: Path) -> dict[str, str]:
    """Return this process's environment without settings, and with `home` for its state."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LIKEWISE_")}
    return {**kept, "XDG_STATE_HOME": str(home), "PYTHONPATH": str(ROOT)}


def descendants(pid: int) -> list[int]:
    """Return the ids of the process's living descendants."""
    parents = {child: parent for child, (_, parent) in _processes().items()}
    found, unseen = [], [pid]
    while unseen:
        parent = unseen.pop()
        children = [child for child, its_parent in parents.items() if its_parent == parent]
        found += children
        unseen += children
    return found


def alive(pids: Sequence[int]) -> list[str]:
    """Return the command lines of the processes that still run; zombies do not count."""
    running = _processes()
    return [_command(pid) for pid in pids if pid in running and running[pid][0] not in ("Z", "X")]


def _processes() -> dict[int, tuple[str, int]]:
    """Return state and parent of each process, by its id."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
        except OSError:  # it ended meanwhile
            continue
        found[int(stat.parent.name)] = (state, int(parent))
    return found


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return str(pid)


def _read(up: RunningUp) -> None:
    assert up.process.stdout is not None
    for line in up.process.stdout:
        up.lines.append(line.rstrip("\n"))
