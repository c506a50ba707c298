"""Logs failed requests: one line each, but no flood of them during an outage."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from likewise.errors import LikewiseError
from likewise.service.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.problem import Problem

_LOG_EVERY_S = 1.0


class FailureLog:
    """Logs a failure, and counts those with the same code in the second that follows."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._next_log_s: dict[str, float] = {}
        self._unlogged: Counter[str] = Counter()

    def note(self, endpoint: str, problem: Problem, error: Exception) -> None:
        """Log one line, or count the failure for the next one. An unexpected error has its traceback."""
        code, now_s = problem.code, self._clock_s()
        if now_s < self._next_log_s.get(code, 0.0):
            self._unlogged[code] += 1
            return
        self._next_log_s[code] = now_s + _LOG_EVERY_S
        expected = isinstance(error, LikewiseError)
        get_logger().warning(
            "request failed",
            endpoint=endpoint,
            status=problem.status,
            code=code,
            reason=str(error) if expected else repr(error),
            more=self._unlogged.pop(code, 0),
            exc_info=None if expected else error,
        )
