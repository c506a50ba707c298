"""Which topics there are, remembered: one question to the broker answers for every name."""

from __future__ import annotations

import time
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from likewise.errors import TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MISSING_FOR_S = 1.0
# Anybody may name topics that do not exist: the part of the time that asking for them may take,
# where a cluster has so many topics that listing them is slow.
_LONGEST_SHARE = 0.05


class _Listing(NamedTuple):
    sizes: Mapping[str, int]
    asked_at_s: float
    took_s: float


class TopicListing:
    """How many partitions each topic has, or had a little while ago. Thread-safe.

    The whole list is asked for at once, so that a thousand names that do not exist cost one question,
    and what is remembered is bounded by the topics that there are.
    """

    def __init__(
        self,
        ask: Callable[[], Mapping[str, int]],
        *,
        found_for_s: float,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`ask` returns the number of partitions of every topic."""
        self._ask = ask
        self._found_for_s = found_for_s
        self._clock_s = clock_s
        self._listing: _Listing | None = None
        self._doubted: set[str] = set()
        self.number = 0
        """Of the list in use: each that is taken has another."""

    def size(self, topic: str, *, at_least: int = 1) -> int:
        """Return how many partitions the topic has; 0 where there is no such topic.

        A topic that is there is asked for again after `found_for_s`, one that is missing or has
        fewer than `at_least` partitions after a second. The list itself never gets stale: a name
        that is new here is looked up in it.

        Raises:
            TransientError: it has to be asked, the topic is not known, and the broker cannot be reached.
        """
        listing = self._listing
        if listing is None or topic in self._doubted or self._is_old(listing, topic, at_least):
            listing = self._refreshed(topic)
        return listing.sizes.get(topic, 0)

    def has(self, topic: str, at_least: int = 1) -> bool:
        """Whether the list in use has the topic, with so many partitions. No I/O."""
        listing = self._listing
        return listing is not None and listing.sizes.get(topic, 0) >= at_least

    def learn(self, sizes: Mapping[str, int]) -> None:
        """Take a list that was just asked for by somebody else."""
        self._take(sizes, self._clock_s())

    def age_s(self) -> float:
        """Return how long ago the question was put whose answer is in use; without any, for ever."""
        if self._listing is None:
            return inf
        return self._clock_s() - (self._listing.asked_at_s - self._listing.took_s)

    def doubt(self, topic: str) -> None:
        """Ask the broker again when the topic is next named."""
        self._doubted.add(topic)

    def _is_old(self, listing: _Listing, topic: str, at_least: int) -> bool:
        trusted_s = self._found_for_s
        if listing.sizes.get(topic, 0) < at_least:
            trusted_s = max(MISSING_FOR_S, listing.took_s / _LONGEST_SHARE)
        return self._clock_s() - listing.asked_at_s >= trusted_s

    def _refreshed(self, topic: str) -> _Listing:
        started_s = self._clock_s()
        try:
            sizes = self._ask()
        except TransientError:
            # What was there before is most likely still there: producers bridge short outages.
            known = self._listing
            if known is None or topic not in known.sizes or topic in self._doubted:
                raise
            return known
        return self._take(sizes, started_s)

    def _take(self, sizes: Mapping[str, int], started_s: float) -> _Listing:
        now_s = self._clock_s()
        self._doubted.clear()
        self._listing = listing = _Listing(sizes, now_s, now_s - started_s)
        self.number += 1
        return listing
