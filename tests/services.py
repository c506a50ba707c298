"""Services in threads of the test's own process, on real servers."""

from __future__ import annotations

import threading
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from likewise.log.kafka import KafkaBroker
from likewise.store.redis import RedisStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from likewise.settings import Settings

PATIENCE_S = 40.0


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float = PATIENCE_S) -> None:
    """Return once the condition holds; fail the test if it does not in time."""
    deadline_s = time.monotonic() + timeout_s
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline_s, f"not within {timeout_s:g} s: {what}"
        pause.wait(0.02)


@contextmanager
def in_a_thread(
    settings: Settings, name: str, run: Callable[[KafkaBroker, RedisStore, threading.Event], None]
) -> Iterator[None]:
    """Run a service until the block ends; re-raise what it died of."""
    stop = threading.Event()
    deaths: list[BaseException] = []

    def serve() -> None:
        try:
            with (
                closing(KafkaBroker(settings.kafka, client_id=name)) as broker,
                closing(RedisStore(settings.redis)) as store,
            ):
                run(broker, store, stop)
        except Exception as death:  # noqa: BLE001  # handed to the test's own thread
            deaths.append(death)

    thread = threading.Thread(target=serve, name=name)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
        if deaths:
            raise deaths[0]
