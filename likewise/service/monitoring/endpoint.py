"""The HTTP side of monitoring: `/healthz`, `/readyz` and `/metrics`, from a thread of its own."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from likewise.service.monitoring.measures import ServiceMetrics, StatsT
    from likewise.settings import MonitoringSettings


@contextmanager
def monitoring(
    settings: MonitoringSettings,
    metrics: ServiceMetrics[StatsT],
    stats: StatsT,
    *,
    longest_silence_s: float = 60.0,
) -> Iterator[int]:
    """Answer over HTTP for the length of a `with` block; yields the port, 0 where it is off.

    A service whose loop has not turned for `longest_silence_s` counts as dead.

    Raises:
        SettingsError: the port can't be listened on.
    """
    if not settings.port:
        yield 0
        return
    # Only where it is on: a server that starts has no time for what it does not use.
    from likewise.service.monitoring.http import PageServer
    from likewise.service.monitoring.pages import pages

    server = PageServer(settings, pages(metrics, stats, longest_silence_s))
    server.start()
    with closing(server):
        yield server.port
