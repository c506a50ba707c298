"""What every service runs with, put together the same way for `likewise …` and `python -m …`."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from likewise.kafka_streams import KafkaBroker
from likewise.logs import configure_logging
from likewise.monitoring.endpoint import monitoring
from likewise.redis_store import RedisStore
from likewise.service import stop_on_signals

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from likewise.settings import Settings

BUILD_SILENCE_S = 3_600.0
"""How long an indexer may be silent: a build takes as long as it takes."""


class Surroundings(NamedTuple):
    """What a service's `run_…` function takes, in its order."""

    settings: Settings
    broker: KafkaBroker
    store: RedisStore
    stop: threading.Event


@contextmanager
def surroundings(
    settings: Settings, service: str, stats: Any, *, longest_silence_s: float = 60.0
) -> Iterator[Surroundings]:
    """Give a service its servers and its stop for the length of a `with` block.

    Only in the main thread. Meanwhile Ctrl-C and SIGTERM set the stop, logs carry the service's name, and monitoring
    answers from `stats`; see `likewise.monitoring.endpoint.monitoring`. Nothing connects yet.

    Raises:
        SettingsError: the monitoring port can't be listened on.
    """
    configure_logging(settings.logging, service=service)
    with (
        stop_on_signals() as stop,
        monitoring(settings.monitoring, service, stats, longest_silence_s=longest_silence_s),
        closing(KafkaBroker(settings.kafka, client_id=f"likewise-{service}")) as broker,
        closing(RedisStore(settings.redis)) as store,
    ):
        yield Surroundings(settings, broker, store, stop)
