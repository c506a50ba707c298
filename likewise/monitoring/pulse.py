"""Whether a worker's loop still turns."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def nothing(_value: float) -> None:
    """Stand in for an observer where nobody observes."""


class Pulse:
    """When a worker's loop last turned, and whether it could work then.

    Only the worker beats; any thread may read.
    """

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        """Not ready before the first beat says so."""
        self._clock_s = clock_s
        self._beaten_at_s: float | None = None
        self.ready = False

    def beat(self, *, ready: bool) -> None:
        """Note that the loop turns; `ready` is whether it has what it needs to work."""
        self._beaten_at_s = self._clock_s()
        self.ready = ready

    @property
    def silent_s(self) -> float:
        """Seconds since the last beat; 0 before the first.

        A worker that starts waits as long as it takes, for servers or for a first model.
        """
        return 0.0 if self._beaten_at_s is None else self._clock_s() - self._beaten_at_s
