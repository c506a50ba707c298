"""When to build: at once, when enough has changed, or when anything has and the time has come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from likewise.settings import IndexerSettings

Reason = Literal["first", "asked", "first likes", "retry", "share changed", "interval over"]


class Schedule:
    """Decides when a build is due. Pure but for the clock it is given (monotonic, seconds)."""

    def __init__(self, settings: IndexerSettings, clock_s: Callable[[], float]) -> None:
        """Begin without a build."""
        self._settings = settings
        self._clock_s = clock_s
        self._last_end_s: float | None = None
        self._failed = False

    def due(self, *, changed: int, users: int, asked: bool = False) -> Reason | None:
        """Return why a build is due now, or None.

        `changed` users of `users` in the last model changed since; times count from the end of
        the last build. An empty model is replaced at the first like. What failed is tried again after the interval, whether or not anything
        changed since; otherwise, without a change nothing is due but what is asked for.
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
        """Note that a build has just ended well."""
        self._last_end_s = self._clock_s()
        self._failed = False

    def failed(self) -> None:
        """Note that a build has just failed."""
        self._last_end_s = self._clock_s()
        self._failed = True

    def start_over(self) -> None:
        """Make a first build due."""
        self._last_end_s = None
