"""A cache of the topics of a cluster: one question to the broker answers for every name."""

from __future__ import annotations

import time
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from likewise.errors import TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FOUND_FOR_S = 60.0
MISSING_FOR_S = 1.0
# Anybody may name topics that do not exist. In a cluster with so many topics that listing them is
# slow, asking for them may take this part of the time.
_LONGEST_SHARE = 0.05


class _Listing(NamedTuple):
    sizes: Mapping[str, int]
    asked_at_s: float
    took_s: float


class TopicListing:
    """How many partitions each topic has, or had a short while ago. Thread-safe.

    The broker is asked for all topics at once, so that a thousand names that do not exist cost one
    question, and the size of the cache is bounded by the number of topics.
    """

    def __init__(
        self,
        ask: Callable[[], Mapping[str, int]],
        *,
        found_for_s: float = FOUND_FOR_S,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`ask` returns the number of partitions of every topic; see `Broker.topic_sizes`."""
        self._ask = ask
        self._found_for_s = found_for_s
        self._clock_s = clock_s
        self._listing: _Listing | None = None
        self._invalid: set[str] = set()
        self.version = 0
        """The version of the list in use. Every new list has another."""

    def size(self, topic: str, *, at_least: int = 1) -> int:
        """Return how many partitions the topic has; 0 if there is no such topic.

        The broker is asked again after `found_for_s` if the topic exists, and after a second if it
        is missing or has fewer than `at_least` partitions.

        Raises:
            TransientError: the topic is not in the list, and the broker cannot be reached.
        """
        listing = self._listing
        if listing is None or topic in self._invalid or self._is_old(listing, topic, at_least):
            listing = self._refreshed(topic)
        return listing.sizes.get(topic, 0)

    def has(self, topic: str, at_least: int = 1) -> bool:
        """Whether the list in use has the topic, with at least so many partitions. No I/O."""
        listing = self._listing
        return listing is not None and listing.sizes.get(topic, 0) >= at_least

    def learn(self, sizes: Mapping[str, int]) -> None:
        """Use a list that the broker has just returned to another caller."""
        self._take(sizes, self._clock_s())

    def age_s(self) -> float:
        """Return how long ago the broker was asked for the list in use; infinity without one."""
        if self._listing is None:
            return inf
        return self._clock_s() - (self._listing.asked_at_s - self._listing.took_s)

    def invalidate(self, topic: str) -> None:
        """Ask the broker again when the topic is next named."""
        self._invalid.add(topic)

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
            # A topic that existed most likely still does, and producers bridge short outages.
            known = self._listing
            if known is None or topic not in known.sizes or topic in self._invalid:
                raise
            return known
        return self._take(sizes, started_s)

    def _take(self, sizes: Mapping[str, int], started_s: float) -> _Listing:
        now_s = self._clock_s()
        self._invalid.clear()
        self._listing = listing = _Listing(sizes, now_s, now_s - started_s)
        self.version += 1
        return listing
