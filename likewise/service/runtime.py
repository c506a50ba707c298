"""What every service runs on, set up in the same way for `likewise …` and `python -m …`."""

from __future__ import annotations

import sys
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, NamedTuple

from likewise.errors import LikewiseError
from likewise.log.kafka import KafkaBroker
from likewise.service.logs import configure_logging, get_logger, log_fatal
from likewise.service.monitoring.endpoint import monitoring
from likewise.service.signals import stop_on_signals
from likewise.service.tracing import tracing
from likewise.service.watchdog import watchdog
from likewise.settings.loader import load_settings, unknown_variables
from likewise.store.redis import RedisStore

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator

    from likewise.service.monitoring.measures import ServiceMetrics, StatsT
    from likewise.settings import Settings
    from likewise.store.port import LikeStore

BUILD_SILENCE_S = 3_600.0
"""How long an indexer may be silent: a build may take long."""


class Runtime(NamedTuple):
    """The arguments of a service's `run_…` function, in order."""

    settings: Settings
    broker: KafkaBroker
    store: LikeStore
    stop: threading.Event


@contextmanager
def open_runtime(
    settings: Settings,
    metrics: ServiceMetrics[StatsT],
    stats: StatsT,
    *,
    longest_silence_s: float = 60.0,
) -> Iterator[Runtime]:
    """Set up the process of a service for the length of a `with` block; yields what it runs on.

    Works only in the main thread. Within the block Ctrl-C and SIGTERM set the stop, logs carry the
    service's name, and monitoring reports `stats`; see
    `likewise.service.monitoring.endpoint.monitoring`. A loop that hangs ends the process; see
    `likewise.service.watchdog`. Nothing connects yet.

    Raises:
        SettingsError: the service cannot listen on the monitoring port.
    """
    service = metrics.service
    configure_logging(settings.logging, service=service)
    log_unknown_settings()
    with (
        tracing(service),
        stop_on_signals() as stop,
        monitoring(settings.monitoring, metrics, stats, longest_silence_s=longest_silence_s),
        watchdog(stats.heartbeat, longest_silence_s=longest_silence_s),
        closing(KafkaBroker(settings.kafka, client_id=f"likewise-{service}")) as broker,
        # A server joins its group first, and imports the Redis client while it waits.
        closing(RedisStore(settings.redis, lazy=True)) as store,
    ):
        yield Runtime(settings, broker, store, stop)


def log_unknown_settings() -> None:
    """Log a warning for each environment variable that looks like a setting but is not one."""
    for unknown in unknown_variables():
        get_logger().warning("no such setting", variable=unknown.variable, remedy=unknown.remedy)


def exit_code_of(run: Callable[[Settings], None]) -> int:
    """Run a service with the settings of file and environment; return the exit code of its process.

    It is 0 after a stop, and 2 for an error that the operator must fix.
    """
    try:
        run(load_settings())
    except LikewiseError as error:
        if not log_fatal(error):
            sys.stderr.write(f"{error}\n")
        return 2
    return 0
