"""Services in threads of the test process, on real servers, and how to reach the broker."""

from __future__ import annotations

import threading
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from likewise.log.kafka import KafkaBroker
from likewise.settings import KafkaSettings
from likewise.store.redis import RedisStore
from tests.conftest import IN_CONTAINERS
from tests.waiting import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from likewise.settings import Settings


def kafka_settings(
    bootstrap_servers: str, prefix: str, *, session_timeout_ms: int | None = None, **others: Any
) -> KafkaSettings:
    """Return settings with short timings; by default, the shortest session the broker suits."""
    return KafkaSettings(
        bootstrap_servers=bootstrap_servers,
        topic_prefix=prefix,
        session_timeout_ms=session_timeout_ms or (6_000 if IN_CONTAINERS else 2_000),
        heartbeat_interval_ms=500,
        fetch_max_wait_ms=10,
        **others,
    )


@contextmanager
def in_a_thread(
    settings: Settings, name: str, run: Callable[[KafkaBroker, RedisStore, threading.Event], None]
) -> Iterator[None]:
    """Run a service until the block ends; raise the error that ended it."""
    stop = threading.Event()
    failures: list[BaseException] = []

    def serve() -> None:
        try:
            with (
                closing(KafkaBroker(settings.kafka, client_id=name)) as broker,
                closing(RedisStore(settings.redis)) as store,
            ):
                run(broker, store, stop)
        except Exception as failure:  # noqa: BLE001  # raised in the test's own thread
            failures.append(failure)

    thread = threading.Thread(target=serve, name=name)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
        if failures:
            raise failures[0]
