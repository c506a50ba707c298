"""Whether a worker's loop still runs, and what it does during long work."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def nothing(_value: float) -> None:
    """Do nothing: the observer where there is no monitoring."""


class Work(NamedTuple):
    """Long work in a loop: since when, and how long it may take."""

    doing: str
    since_s: float
    at_most_s: float


class Heartbeat:
    """When a worker's loop last ran, and whether it was ready then.

    Only the worker writes; any thread may read.
    """

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        """Not ready before the first beat."""
        self._clock_s = clock_s
        self._beaten_at_s: float | None = None
        self._work: Work | None = None
        self.ready = False

    def beat(self, *, ready: bool) -> None:
        """Note that the loop runs; `ready` is whether it has what it needs to work."""
        self._beaten_at_s = self._clock_s()
        self.ready = ready

    @contextmanager
    def busy(self, doing: str, *, at_most_s: float) -> Iterator[None]:
        """Count as busy and not as stuck for the length of a `with` block, up to `at_most_s`.

        `doing` is a word for `/healthz`: "ranking".
        """
        self._work = Work(doing, self._clock_s(), at_most_s)
        try:
            yield
        finally:
            self._work = None
            self._beaten_at_s = self._clock_s()

    @property
    def doing(self) -> str | None:
        """What the loop is busy with, and for how long; None if it is not busy."""
        work = self._work
        return work and f"{work.doing} since {self._clock_s() - work.since_s:.0f} s"

    @property
    def silent_s(self) -> float:
        """Seconds since the last beat; 0 before the first.

        A starting worker may wait for servers or for a first model without a limit.
        """
        return 0.0 if self._beaten_at_s is None else self._clock_s() - self._beaten_at_s

    def stuck_s(self, longest_silence_s: float) -> float | None:
        """Return for how long the loop has been silent if that is too long, else None.

        It may be silent for `longest_silence_s`, and busy for as long as it announced.
        """
        silent_s, work = self.silent_s, self._work
        if work is not None and self._clock_s() - work.since_s <= work.at_most_s:
            return None
        return silent_s if silent_s > longest_silence_s else None
