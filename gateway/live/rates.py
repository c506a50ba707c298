"""From counts to rates, and from durations to percentiles, over the last seconds. Pure."""

from __future__ import annotations

import math
from collections import Counter, deque

_WINDOW_TICKS = 10
_STEPS_PER_OCTAVE = 8


class Rate:
    """How fast a count grows between two looks at it."""

    def __init__(self) -> None:
        self._before: tuple[float, int] | None = None

    def per_s(self, count: int | None, now_s: float) -> float | None:
        """Return the growth since the last look; None for the first one, and after an unknown count.

        A count that became smaller belongs to something that was recreated: 0.
        """
        before, self._before = self._before, None if count is None else (now_s, count)
        if before is None or count is None or now_s <= before[0]:
            return None
        return max(count - before[1], 0) / (now_s - before[0])


class RecentDurations:
    """Percentiles of the durations of the last ten ticks, at most a tenth too high."""

    def __init__(self) -> None:
        self._now: Counter[int] = Counter()
        self._ticks: deque[Counter[int]] = deque(maxlen=_WINDOW_TICKS)

    def add(self, seconds: float) -> None:
        """Add a duration to those of this tick."""
        self._now[math.ceil(_STEPS_PER_OCTAVE * math.log2(max(seconds, 1e-6)))] += 1

    def tick(self) -> None:
        """Begin the next tick, and forget the oldest one."""
        self._ticks.append(self._now)
        self._now = Counter()

    def percentile_ms(self, share: float) -> float | None:
        """Return what this share of the durations did not exceed; None without any."""
        counts = sum(self._ticks, Counter[int]())
        wanted = share * counts.total()
        reached = 0
        for step in sorted(counts):
            reached += counts[step]
            if reached >= wanted:
                return round(1000 * 2 ** (step / (_STEPS_PER_OCTAVE)), 3)
        return None
