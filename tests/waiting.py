"""Waiting for what threads and servers do, with a limit."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE_S = 75.0
"""Longer than the stall detector takes to get a group going again."""
_POLL_INTERVAL_S = 0.01
T = TypeVar("T")


def wait_until(
    look: Callable[[], T | None],
    what: str | Callable[[], str] = "the condition",
    timeout_s: float = PATIENCE_S,
) -> T:
    """Return the first true result of `look`, called every 10 ms; fail the test after the timeout."""
    deadline_s = time.monotonic() + timeout_s
    while not (found := look()):
        assert time.monotonic() < deadline_s, (
            f"not within {timeout_s:g} s: {what if isinstance(what, str) else what()}"
        )
        time.sleep(_POLL_INTERVAL_S)
    return found
