"""HTTP requests for recommendations by the thousand, and the clock on their answers."""

from __future__ import annotations

import asyncio
import random
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import httpx

from benchmarks.rig import TookTooLongError, cpu_s, user_of, wait_until

CONNECTIONS = 256
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
# wrk asks for another user each time.
_SCRIPT = """
math.randomseed(os.time())
request = function()
  local path = string.format("/v1/users/u%07d/recommendations", math.random(0, {last}))
  local query = string.gsub([[{query}]], "{number}", string.format("%04d", math.random(0, 9999)))
  return wrk.format("GET", path .. query)
end
done = function(summary, latency, requests)
  local failed = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.status
  io.write(string.format("RESULT %d %d %d\\n", summary.requests, summary.duration, failed))
end
"""


class HttpLoad:
    """A requester of one gateway: users at random, over connections that stay open."""

    def __init__(self, port: int, users: int, query: str = "") -> None:
        """Connect to nothing yet. In `query`, four random digits replace `{number}`."""
        self._port = port
        self._users = users
        self._query = query
        self._random = random.Random(0)

    def wait_for_an_answer(self) -> int:
        """Return the size of the first answer's body."""

        def answer() -> httpx.Response | None:
            try:
                return httpx.get(f"http://127.0.0.1:{self._port}{self._path()}")
            except httpx.TransportError:
                return None

        wait_until(
            lambda: (found := answer()) is not None and found.status_code == 200, "an answer"
        )
        found = answer()
        if found is None:
            raise TookTooLongError("the gateway answered once only")
        return len(found.content)

    def saturate(self, seconds: float, *, connections: int = CONNECTIONS) -> float:
        """Return answers a second while each connection waits for one. By wrk, where it is installed."""
        if shutil.which("wrk"):
            return self._by_wrk(seconds, connections)
        return asyncio.run(self._by_ourselves(seconds, connections))

    def at_rate(self, per_s: float, seconds: float) -> list[float]:
        """Return the latency in ms of each request, sent at even distances, from when it was due."""
        return asyncio.run(self._at_rate(per_s, seconds))

    def _by_wrk(self, seconds: float, connections: int) -> float:
        with tempfile.TemporaryDirectory() as directory:
            script = Path(directory, "users.lua")
            text = _SCRIPT.replace("{last}", str(self._users - 1))
            script.write_text(text.replace("{query}", self._query))
            options = ["-t1", f"-c{connections}", f"-d{max(round(seconds), 1)}s", "-s", str(script)]
            done = subprocess.run(
                ["wrk", *options, f"http://127.0.0.1:{self._port}"],
                check=True,
                capture_output=True,
                text=True,
            )
        answers, microseconds, failed = map(int, done.stdout.partition("RESULT ")[2].split())
        if failed:
            raise TookTooLongError(f"{failed} of {answers} requests failed")
        return answers / microseconds * 1e6

    async def _by_ourselves(self, seconds: float, connections: int) -> float:
        ends_s = time.monotonic() + seconds

        async def ask() -> int:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            answers = 0
            while time.monotonic() < ends_s:
                await self._exchange(reader, writer)
                answers += 1
            writer.close()
            return answers

        began_s = time.monotonic()
        counted = await asyncio.gather(*(ask() for _ in range(connections)))
        return sum(counted) / (time.monotonic() - began_s)

    async def _at_rate(self, per_s: float, seconds: float) -> list[float]:
        idle: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
        for _ in range(CONNECTIONS):
            idle.put_nowait(await asyncio.open_connection("127.0.0.1", self._port))
        latencies_ms: list[float] = []

        async def ask(due_s: float) -> None:
            connection = await idle.get()
            await self._exchange(*connection)
            latencies_ms.append((time.monotonic() - due_s) * 1000)
            idle.put_nowait(connection)

        began_s = time.monotonic() + 0.05
        asking = []
        for number in range(max(int(per_s * seconds), 1)):
            due_s = began_s + number / per_s
            if (wait_s := due_s - time.monotonic()) > 0:
                await asyncio.sleep(wait_s)
            asking.append(asyncio.create_task(ask(due_s)))
        await asyncio.gather(*asking)
        while not idle.empty():
            idle.get_nowait()[1].close()
        return latencies_ms

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"GET {self._path()} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if length is None or not head.startswith(b"HTTP/1.1 200"):
            raise TookTooLongError(f"the answer begins {head[:100]!r}")
        await reader.readexactly(int(length[1]))

    def _path(self) -> str:
        query = self._query.replace("{number}", f"{self._random.randrange(10_000):04}")
        return f"/v1/users/{user_of(self._random.randrange(self._users))}/recommendations{query}"


class Contender:
    """A process that answers, and what that takes it."""

    def __init__(self, load: HttpLoad, pid: int) -> None:
        """`pid` is the process that answers the requests of `load`."""
        self.load = load
        self._pid = pid
        self.cpu_us: list[float] = []
        """CPU time for each answer in each saturation."""

    def saturate(self, seconds: float) -> float:
        """Return answers a second; see `HttpLoad.saturate`."""
        began_s, began_cpu_s = time.monotonic(), cpu_s(self._pid)
        per_s = self.load.saturate(seconds)
        answers = per_s * (time.monotonic() - began_s)
        self.cpu_us.append((cpu_s(self._pid) - began_cpu_s) / answers * 1e6)
        return per_s

    def cpu_of_an_answer_us(self, seconds: float) -> float:
        """Return the CPU time of an answer while the process is saturated for so long."""
        self.saturate(seconds)
        return self.cpu_us[-1]
