"""How a service stops: a signal asks its loop to end, and the process ends if that hangs."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


STOP_TIMEOUT_S = 25.0
"""How long a service may take to stop: less than the 30 s after which Kubernetes and the compose file
kill it."""


@contextmanager
def stop_on_signals(*, timeout_s: float = STOP_TIMEOUT_S) -> Iterator[threading.Event]:
    """Yield an event that the first Ctrl-C or SIGTERM sets; a second one ends the process.

    The process also ends, with exit code 1, if the `with` block continues for `timeout_s` after the
    first one. Call it in the main thread; Python delivers signals nowhere else.
    """
    stop, over = threading.Event(), threading.Event()
    before = {number: signal.getsignal(number) for number in _SIGNALS}

    def see_it_end() -> None:
        stop.set()
        if not over.wait(timeout_s):
            # Imported here, since commands that run no service load no logs.
            from likewise.service.watchdog import end_process

            end_process("still running after a request to stop; ending the process", timeout_s)

    def ask_to_stop(_number: int, _frame: FrameType | None) -> None:
        # In a thread, since this one may be inside `stop.wait` and hold the lock of the event.
        threading.Thread(target=see_it_end, name="stop", daemon=True).start()
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)

    for number in _SIGNALS:
        signal.signal(number, ask_to_stop)
    try:
        yield stop
    finally:
        over.set()
        for number, handler in before.items():
            signal.signal(number, handler)
