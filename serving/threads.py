"""Threads beside the server's loop: they share a lone batch, or take one each of many."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol, TypeVar

from likewise.ranking.recommend import THIS_THREAD, Threads

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

T = TypeVar("T")


class Beside(Protocol):
    """Where batches are ranked while the loop does something else."""

    @property
    def sharing(self) -> Threads:
        """What a lone batch is shared out to."""

    def begin(self, work: Callable[[], T]) -> Callable[[], T]:
        """Let the work begin as soon as may be; what is returned waits for its result."""


class RankingThreads:
    """`Beside` with threads of its own, for the length of a `with` block."""

    def __init__(self, count: int) -> None:
        """Start no thread before there is work."""
        self._pool = ThreadPoolExecutor(count, "ranking")
        self.sharing = Threads(self._pool.map, count)

    def begin(self, work: Callable[[], T]) -> Callable[[], T]:
        """See `Beside.begin`."""
        return self._pool.submit(work).result

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: object, _where: TracebackType | None
    ) -> None:
        self._pool.shutdown()


class NoThreads:
    """`Beside` without any: who wants the result does the work then."""

    sharing = THIS_THREAD

    def begin(self, work: Callable[[], T]) -> Callable[[], T]:
        """See `Beside.begin`."""
        return work
