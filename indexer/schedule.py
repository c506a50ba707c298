"""When to build: on request, when enough has changed, or after the interval if anything has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from likewise.settings import IndexerSettings

Reason = Literal["first", "asked", "first likes", "retry", "share changed", "interval over"]


class Schedule:
    """Decides when a build is due. Pure, except for the clock passed in (monotonic, seconds)."""

    def __init__(self, settings: IndexerSettings, clock_s: Callable[[], float]) -> None:
        """Start before the first build."""
        self._settings = settings
        self._clock_s = clock_s
        self._last_end_s: float | None = None
        self._failed = False

    def due(self, *, changed: int, users: int, asked: bool = False) -> Reason | None:
        """Return why a build is due now, or None.

        `changed` of the `users` in the last model have changed since; times count from the end of the
        last build. An empty model is replaced at the first like. A failed build is retried after the
        interval, with or without changes. Otherwise, without changes, only a requested build is due.
        """
        if self._last_end_s is None:
            return "first"
        if asked:
            return "asked"
        if not users and changed and not self._failed:
            return "first likes"
        waited_s = self._clock_s() - self._last_end_s
        if waited_s >= self._settings.interval_s:
            return "retry" if self._failed else "interval over" if changed else None
        enough = changed > 0 and changed >= self._settings.changed_share * users
        if enough and not self._failed and waited_s >= self._settings.min_interval_s:
            return "share changed"
        return None

    def built(self) -> None:
        """Record that a build has just succeeded."""
        self._last_end_s = self._clock_s()
        self._failed = False

    def failed(self) -> None:
        """Record that a build has just failed."""
        self._last_end_s = self._clock_s()
        self._failed = True

    def start_over(self) -> None:
        """Make a first build due."""
        self._last_end_s = None
