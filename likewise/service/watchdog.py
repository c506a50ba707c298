"""The end of a process that does not end by itself, or does nothing any more.

A loop can't be left from outside, whatever it hangs in: a client library, a lock, a file. But its
process can be ended, so that others take its partitions and whoever supervises it starts another.
Nothing is lost by that, as by any kill.
"""

from __future__ import annotations

import os
import sys
import threading
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING

from likewise.service.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from likewise.service.monitoring.heartbeat import Heartbeat

EXIT_CODE = 1
PATIENCE = 5
"""How many times the silence that `/healthz` calls dead is borne before the process ends."""
_LOOK_EVERY_S = 1.0


def end_process(why: str) -> None:
    """End the process at once, saying why and where its main thread is."""
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    get_logger().critical(why, stack="".join(traceback.format_stack(frame)))
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(EXIT_CODE)


@contextmanager
def watchdog(
    heartbeat: Heartbeat,
    *,
    longest_silence_s: float,
    end: Callable[[str], None] = end_process,
    look_every_s: float = _LOOK_EVERY_S,
) -> Iterator[None]:
    """End the process where the loop is stuck for five times `longest_silence_s`.

    Watches for the length of a `with` block, from a thread.
    """
    over = threading.Event()

    def watch() -> None:
        while not over.wait(look_every_s):
            stuck_s = heartbeat.stuck_s(PATIENCE * longest_silence_s)
            if stuck_s is not None:
                end(f"the loop has not turned for {stuck_s:.0f} s; the process is ended")
                return

    thread = threading.Thread(target=watch, name="watchdog", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
