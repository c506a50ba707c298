"""Ends a process that does not stop, or whose loop is stuck.

A stuck loop cannot be interrupted from outside, be it in a client library, a lock or a file. Ending
the process lets other members take its partitions, and its supervisor start it again. Like any
kill, that loses nothing.
"""

from __future__ import annotations

import os
import sys
import threading
import traceback
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from likewise.service.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from likewise.service.monitoring.heartbeat import Heartbeat

EXIT_CODE = 1
PATIENCE = 5
"""The process ends after this many times the silence at which `/healthz` reports a failure."""
_LOOK_EVERY_S = 1.0


def end_process(event: str, after_s: float) -> None:
    """End the process at once; log why, and the stack of its main thread."""
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    get_logger().critical(
        event, after_s=round(after_s), stack="".join(traceback.format_stack(frame))
    )
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # its reader may have ended before
            stream.flush()
    os._exit(EXIT_CODE)


@contextmanager
def watchdog(
    heartbeat: Heartbeat,
    *,
    longest_silence_s: float,
    end: Callable[[str, float], None] = end_process,
    look_every_s: float = _LOOK_EVERY_S,
) -> Iterator[None]:
    """End the process if its loop is stuck for five times `longest_silence_s`.

    Watches in a thread, for the length of a `with` block.
    """
    over = threading.Event()

    def watch() -> None:
        while not over.wait(look_every_s):
            stuck_s = heartbeat.stuck_s(PATIENCE * longest_silence_s)
            if stuck_s is not None:
                end("the loop is stuck; ending the process", stuck_s)
                return

    thread = threading.Thread(target=watch, name="watchdog", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
