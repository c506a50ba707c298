"""Whether a worker's loop still turns, and what it does where that takes long."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def nothing(_value: float) -> None:
    """Stand in for an observer where nobody observes."""


class Work(NamedTuple):
    """What a loop does that may take long: since when, and how long is too long."""

    doing: str
    since_s: float
    at_most_s: float


class Heartbeat:
    """When a worker's loop last turned, and whether it could work then.

    Only the worker beats; any thread may read.
    """

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        """Not ready before the first beat says so."""
        self._clock_s = clock_s
        self._beaten_at_s: float | None = None
        self._work: Work | None = None
        self.ready = False

    def beat(self, *, ready: bool) -> None:
        """Note that the loop turns; `ready` is whether it has what it needs to work."""
        self._beaten_at_s = self._clock_s()
        self.ready = ready

    @contextmanager
    def busy(self, doing: str, *, at_most_s: float) -> Iterator[None]:
        """Count as busy, not as stuck, for the length of a `with` block, but no longer than that.

        `doing` is one word, for people: "ranking".
        """
        self._work = Work(doing, self._clock_s(), at_most_s)
        try:
            yield
        finally:
            self._work = None
            self._beaten_at_s = self._clock_s()

    @property
    def doing(self) -> str | None:
        """What the loop is busy with, and since when; None where it is with nothing."""
        work = self._work
        return work and f"{work.doing} since {self._clock_s() - work.since_s:.0f} s"

    @property
    def silent_s(self) -> float:
        """Seconds since the last beat; 0 before the first.

        A worker that starts waits as long as it takes, for servers or for a first model.
        """
        return 0.0 if self._beaten_at_s is None else self._clock_s() - self._beaten_at_s

    def stuck_s(self, longest_silence_s: float) -> float | None:
        """Return for how long the loop has not turned, if that is too long; None if it is not.

        Without a beat it may be silent for `longest_silence_s`, busy for as long as it said.
        """
        silent_s, work = self.silent_s, self._work
        if work is not None and self._clock_s() - work.since_s <= work.at_most_s:
            return None
        return silent_s if silent_s > longest_silence_s else None
