"""Calls that may hang, each in a separate thread: a look that takes too long does not delay a tick."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Generic, ParamSpec, TypeVar

from likewise.errors import LikewiseError

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")

_LATE_S = 3.0


class Looking(Generic[T]):
    """One kind of look, of which one runs at a time. For the loop's thread."""

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(1, f"live-{name}")
        self._running: asyncio.Future[T] | None = None
        self._began_s = 0.0
        self.error: str | None = None
        """Why the last look found nothing; None if it did, or is not late yet."""

    async def look(
        self, wait_s: float, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T | None:
        """Return what a new call returns, or the one still running; None if it fails or takes longer."""
        loop = asyncio.get_running_loop()
        if self._running is None:
            self._began_s = loop.time()
            self._running = loop.run_in_executor(self._executor, partial(call, *args, **kwargs))
        done, _ = await asyncio.wait({self._running}, timeout=wait_s)
        if not done:
            late_s = loop.time() - self._began_s
            if late_s >= _LATE_S:
                self.error = f"no answer for {late_s:.0f} s"
            return None
        running, self._running = self._running, None
        try:
            found = running.result()
        except LikewiseError as error:
            self.error = str(error)
            return None
        self.error = None
        return found

    def close(self, last: Callable[[], None] | None = None) -> None:
        """Start no further look, but call `last` in its thread. Does not wait for anything."""
        if last is not None:
            self._executor.submit(last)
        self._executor.shutdown(wait=False)
        if self._running is not None:
            self._running.cancel()
