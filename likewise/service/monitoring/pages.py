"""The pages `/healthz`, `/readyz` and `/metrics`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from likewise.service.monitoring.http import Page
from likewise.service.monitoring.metrics import registry_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from likewise.service.monitoring.measures import ServiceMetrics, StatsT


def pages(
    metrics: ServiceMetrics[StatsT], stats: StatsT, longest_silence_s: float
) -> dict[str, Callable[[], Page]]:
    """Return the function that makes the page of each path; see `likewise.service.monitoring.endpoint.monitoring`."""
    registry = registry_of(metrics, stats)
    service, heartbeat = metrics.service, stats.heartbeat

    def healthz() -> Page:
        stuck_s = heartbeat.stuck_s(longest_silence_s)
        if stuck_s is not None:
            return Page.text(503, f"the {service}'s loop has not turned for {stuck_s:.0f} s")
        return Page.text(200, f"ok, {heartbeat.doing}" if heartbeat.doing else "ok")

    def readyz() -> Page:
        if not heartbeat.ready or heartbeat.stuck_s(longest_silence_s) is not None:
            return Page.text(503, f"the {service} is not ready")
        return Page.text(200, "ready")

    def scrape() -> Page:
        return Page(200, CONTENT_TYPE_LATEST, generate_latest(registry))

    return {"/healthz": healthz, "/readyz": readyz, "/metrics": scrape}
