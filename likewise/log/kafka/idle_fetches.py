"""Lets the fetches of a topic on which nothing happens wait longer.

Tansu holds a fetch from several partitions until its wait is over, even if a record arrives meanwhile. So the
wait is short, and a member that reads nothing would fetch a hundred times a second.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

IDLE_AFTER_S = 2.0
IDLE_WAIT_MS = 40


class IdleFetches:
    """Sets how long the fetches of a consumer wait: as long as the settings say while records come."""

    def __init__(self, wait_ms: int, clock_s: Callable[[], float] = time.monotonic) -> None:
        """`wait_ms` is the wait of the settings."""
        self._wait_ms = wait_ms
        self._clock_s = clock_s
        self._found_at_s = clock_s()

    def note(self, consumer: Any, *, found: bool) -> None:
        """Note whether a poll returned records."""
        now_s = self._clock_s()
        if found:
            self._found_at_s = now_s
        idle = now_s - self._found_at_s >= IDLE_AFTER_S
        wait_ms = max(self._wait_ms, IDLE_WAIT_MS) if idle else self._wait_ms
        consumer.fetcher.config["fetch_max_wait_ms"] = wait_ms
