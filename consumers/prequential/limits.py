"""Limits on how much the sampler may ask for: probes a second, and time."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_TIME_SHARE = 0.02
_MOST_SECONDS = 1.0


class RateLimit:
    """Allows `per_s` on average, and one second's worth at once."""

    def __init__(self, per_s: float, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_s
        self._most = max(per_s, 1.0)
        self._left = self._most
        self._clock_s = clock_s
        self._counted_at_s = clock_s()

    def take(self, wanted: int) -> int:
        """Return how many of those wanted are allowed now."""
        now_s = self._clock_s()
        earned = (now_s - self._counted_at_s) * self._per_s
        self._left = min(self._left + earned, self._most)
        self._counted_at_s = now_s
        taken = min(wanted, int(self._left))
        self._left -= taken
        return taken


class TimeBudget:
    """Allows a fiftieth of all time, and one second at once.

    So whatever makes reads slow, be it Redis or a user with a million likes, costs probes instead
    of throughput.
    """

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._left_s = _MOST_SECONDS
        self._clock_s = clock_s
        self._counted_at_s = clock_s()

    @property
    def is_open(self) -> bool:
        """Whether there is time left."""
        now_s = self._clock_s()
        earned_s = (now_s - self._counted_at_s) * _TIME_SHARE
        self._left_s = min(self._left_s + earned_s, _MOST_SECONDS)
        self._counted_at_s = now_s
        return self._left_s > 0

    @contextmanager
    def spending(self) -> Iterator[None]:
        """Charge the time that the block takes, at most one second: an outage is not paid in full."""
        started_s = self._clock_s()
        try:
            yield
        finally:
            self._left_s -= min(self._clock_s() - started_s, _MOST_SECONDS)
