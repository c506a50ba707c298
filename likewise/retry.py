"""Retries with exponential backoff and full jitter, which a stop interrupts at any time."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, TypeVar

from likewise.errors import TransientError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator

T = TypeVar("T")

FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 10.0
# Shared: seeding a generator takes longer than most attempts.
_RANDOM = random.Random()


class StoppedError(Exception):
    """The worker was told to stop while it waited for a retry."""


def delays_s(
    rng: random.Random, *, first_s: float = FIRST_DELAY_S, longest_s: float = LONGEST_DELAY_S
) -> Iterator[float]:
    """Yield the seconds to wait before each retry, without end.

    Full jitter (Brooker, "Exponential Backoff and Jitter", 2015): uniform between zero and a
    bound that doubles, so that many workers do not retry in step.
    """
    bound_s = first_s
    while True:
        yield rng.uniform(bound_s / 10, bound_s)
        bound_s = min(bound_s * 2, longest_s)


def retry(
    attempt: Callable[[], T],
    *,
    stop: threading.Event,
    on_failure: Callable[[TransientError, float], None],
    while_waiting: Callable[[], None] = lambda: None,
    longest_s: float = LONGEST_DELAY_S,
) -> T:
    """Return what `attempt` returns; retry it for as long as it raises `TransientError`.

    `on_failure` gets each failure and the seconds until the next attempt. `while_waiting` is called
    about once a second between attempts, to stay in a consumer group. Blocks.

    Raises:
        StoppedError: `stop` was set before an attempt succeeded.
    """
    waits_s = delays_s(_RANDOM, longest_s=longest_s)
    while True:
        try:
            return attempt()
        except TransientError as error:
            wait_s = next(waits_s)
            on_failure(error, wait_s)
        _wait(wait_s, stop, while_waiting)


def _wait(wait_s: float, stop: threading.Event, while_waiting: Callable[[], None]) -> None:
    remaining_s = wait_s
    while remaining_s > 0:
        while_waiting()
        if stop.wait(min(remaining_s, 1.0)):
            raise StoppedError
        remaining_s -= 1.0
    if stop.is_set():
        raise StoppedError
