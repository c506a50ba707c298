"""Calls that take seconds, such as comparing two models: a few at a time, apart from the quick ones."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from gateway.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

P = ParamSpec("P")
T = TypeVar("T")

_AT_ONCE = 2


class SlowCalls:
    """Runs slow calls in threads that nothing else uses. For the loop's thread."""

    def __init__(self) -> None:
        """Start no thread yet."""
        self._executor = ThreadPoolExecutor(_AT_ONCE, "slow")
        self.running = 0
        """How many calls have not ended yet."""

    async def run(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what a blocking call returns.

        Raises:
            Problem: too many such calls are running; 503, to be retried.
        """
        self._begin()
        loop = asyncio.get_running_loop()
        running = loop.run_in_executor(self._executor, partial(call, *args, **kwargs))
        # It runs to its end, even if nobody waits for it any longer.
        running.add_done_callback(self._ended)
        return await asyncio.shield(running)

    @contextmanager
    def place(self) -> Iterator[None]:
        """Count what a `with` block does, without blocking, as such a call; see `run`."""
        self._begin()
        try:
            yield
        finally:
            self.running -= 1

    def close(self) -> None:
        """Start no further call. Does not wait for those that are running."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _begin(self) -> None:
        if self.running >= _AT_ONCE:
            raise Problem("overloaded", f"{_AT_ONCE} calls that take long are running already")
        self.running += 1

    def _ended(self, call: asyncio.Future[T]) -> None:
        self.running -= 1
        if not call.cancelled():
            call.exception()  # the caller gets it, if there still is one
