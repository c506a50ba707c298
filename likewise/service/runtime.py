"""What every service runs with, put together the same way for `likewise …` and `python -m …`."""

from __future__ import annotations

from contextlib import closing, contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from likewise.log.kafka import KafkaBroker
from likewise.service.logs import configure_logging, get_logger
from likewise.service.monitoring.endpoint import monitoring
from likewise.service.signals import stop_on_signals
from likewise.service.watchdog import watchdog
from likewise.settings_loader import unknown_variables

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from likewise.settings import RedisSettings, Settings
    from likewise.store.port import LikeStore

BUILD_SILENCE_S = 3_600.0
"""How long an indexer may be silent: a build takes as long as it takes."""


class Surroundings(NamedTuple):
    """What a service's `run_…` function takes, in its order."""

    settings: Settings
    broker: KafkaBroker
    store: LikeStore
    stop: threading.Event


@contextmanager
def surroundings(
    settings: Settings, service: str, stats: Any, *, longest_silence_s: float = 60.0
) -> Iterator[Surroundings]:
    """Give a service its servers and its stop for the length of a `with` block.

    Only in the main thread. Meanwhile Ctrl-C and SIGTERM set the stop, logs carry the service's name, and monitoring
    answers from `stats`; see `likewise.service.monitoring.endpoint.monitoring`. Where the loop hangs, the process is ended:
    see `likewise.service.watchdog`. Nothing connects yet.

    Raises:
        SettingsError: the monitoring port can't be listened on.
    """
    configure_logging(settings.logging, service=service)
    log_unknown_settings()
    with (
        stop_on_signals() as stop,
        monitoring(settings.monitoring, service, stats, longest_silence_s=longest_silence_s),
        watchdog(stats.heartbeat, longest_silence_s=longest_silence_s),
        closing(KafkaBroker(settings.kafka, client_id=f"likewise-{service}")) as broker,
        closing(_StoreOnDemand(settings.redis)) as store,
    ):
        yield Surroundings(settings, broker, cast("LikeStore", store), stop)


def log_unknown_settings() -> None:
    """Log a warning for each variable that looks like a setting and is none."""
    for unknown in unknown_variables():
        get_logger().warning("no such setting", variable=unknown.variable, remedy=unknown.remedy)


class _StoreOnDemand:
    """A `RedisStore` that is made with the first call, and its client library imported with it.

    That takes a tenth of a second, which a server that starts has while it joins its group.
    """

    def __init__(self, settings: RedisSettings) -> None:
        self._settings = settings

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    @cached_property
    def _store(self) -> LikeStore:
        from likewise.store.redis import RedisStore

        return RedisStore(self._settings)

    def close(self) -> None:
        if "_store" in vars(self):
            self._store.close()
