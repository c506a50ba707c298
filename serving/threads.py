"""Threads beside the server's loop: they share a lone batch, or take one each of many."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol, TypeVar

from likewise.ranking.recommend import THIS_THREAD, Threads

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Promise(Protocol[T_co]):
    """Work whose result comes later; a `concurrent.futures.Future` is one."""

    def done(self) -> bool:
        """Whether `result` returns without waiting for anybody else."""

    def result(self) -> T_co:
        """Return the result, or raise what the work raised."""


class Later(Promise[T]):
    """Work that is done by who wants its result, and then."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work

    def done(self) -> bool:
        """See `Promise.done`."""
        return True

    def result(self) -> T:
        """See `Promise.result`."""
        return self._work()


class Beside(Protocol):
    """Where batches are ranked while the loop does something else."""

    @property
    def sharing(self) -> Threads:
        """What a lone batch is shared out to."""

    def begin(self, work: Callable[[], T]) -> Promise[T]:
        """Let the work begin as soon as may be."""


class RankingThreads:
    """`Beside` with threads of its own, until it is closed."""

    def __init__(self, count: int) -> None:
        """Start no thread before there is work."""
        self._pool = ThreadPoolExecutor(count, "ranking")
        self.sharing = Threads(self._pool.map, count)

    def begin(self, work: Callable[[], T]) -> Promise[T]:
        """See `Beside.begin`."""
        return self._pool.submit(work)

    def close(self) -> None:
        """Return when the work that has begun is done."""
        self._pool.shutdown()


class NoThreads:
    """`Beside` without any."""

    sharing = THIS_THREAD

    def begin(self, work: Callable[[], T]) -> Promise[T]:
        """See `Beside.begin`."""
        return Later(work)
