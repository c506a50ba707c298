"""Token buckets: how often somebody may call."""

from __future__ import annotations

from collections import OrderedDict

MAX_BUCKETS = 10_000


class Bucket:
    """Tokens that return at a constant rate."""

    __slots__ = ("_at_s", "_left")

    def __init__(self, tokens: float, now_s: float) -> None:
        self._left = tokens
        self._at_s = now_s

    def take(self, cost: float, rate: float, most: float, now_s: float) -> float:
        """Take tokens and return 0; or take none and return the seconds until there are enough.

        A cost above `most`, what the bucket can hold, takes all of that.
        """
        self._left = min(most, self._left + (now_s - self._at_s) * rate)
        self._at_s = now_s
        cost = min(cost, most)
        if self._left >= cost:
            self._left -= cost
            return 0.0
        return (cost - self._left) / rate


class Rates:
    """A bucket for each caller, which holds what returns in `burst_s`.

    The memory is bounded: those who have not called for longest are forgotten.
    """

    def __init__(self, burst_s: float, max_buckets: int = MAX_BUCKETS) -> None:
        self._burst_s = burst_s
        self._max_buckets = max_buckets
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, caller: str, rate: float, cost: float, now_s: float) -> float:
        """Let `caller`, who may make `rate` calls a second, pay for a call; see `Bucket.take`."""
        most = rate * self._burst_s
        bucket = self._buckets.get(caller)
        if bucket is None:
            bucket = self._buckets[caller] = Bucket(most, now_s)
            if len(self._buckets) > self._max_buckets:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(caller)
        return bucket.take(cost, rate, most, now_s)
