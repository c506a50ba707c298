"""The HTTP side of monitoring: `/healthz`, `/readyz` and `/metrics`, answered in a thread."""

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
    """Answer over HTTP for the length of a `with` block; yields the port, 0 if monitoring is off.

    `/healthz` fails once the loop has not run for `longest_silence_s`.

    Raises:
        SettingsError: the server cannot listen on the port.
    """
    if not settings.port:
        yield 0
        return
    # Imported only if it is on, to keep the start short.
    from likewise.service.monitoring.http import PageServer
    from likewise.service.monitoring.pages import pages

    server = PageServer(settings, pages(metrics, stats, longest_silence_s))
    server.start()
    with closing(server):
        yield server.port
