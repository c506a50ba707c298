"""Prometheus metrics, read off a worker's stats when they are asked for; no call on the hot path.

The one exception is the latency of replies: a histogram can't be read off afterwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from prometheus_client.core import Metric

_LATENCY_BUCKETS_S = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class _Measure(NamedTuple):
    """One metric of a service: how it is read off the stats; None leaves it out for now."""

    name: str
    documentation: str
    read: Callable[[Any], float | Mapping[str, float] | None]
    label: str | None = None
    """The label whose values are the mapping's keys."""
    counts: bool = True
    """Whether it only ever grows (a counter) or goes up and down (a gauge)."""


_EVERY_SERVICE = (
    _Measure("ready", "1 while the service can work.", lambda s: s.pulse.ready, counts=False),
    _Measure(
        "silent_seconds", "Since the loop last turned.", lambda s: s.pulse.silent_s, counts=False
    ),
    _Measure("retries", "Attempts that a server's absence made vain.", lambda s: s.retries),
)
_MEASURES = {
    "consumer": (
        _Measure("batches", "Batches applied.", lambda s: s.batches),
        _Measure("events_applied", "Events applied to Redis.", lambda s: s.events_applied),
        _Measure("dead_letters", "Events not understood.", lambda s: s.dead_letters),
    ),
    "indexer": (
        _Measure("leads", "1 while this indexer is the one.", lambda s: s.leads, counts=False),
        _Measure("builds", "Models built and announced.", lambda s: s.builds),
        _Measure("failures", "Models that could not be written.", lambda s: s.failures),
        _Measure(
            "build_seconds", "The last build.", lambda s: s.seconds, label="step", counts=False
        ),
        *(
            _Measure(
                f"model_{name}",
                f"{name.capitalize()} in the model built last.",
                lambda s, name=name: s.current and getattr(s.current, name),  # type: ignore[misc]  # mypy types no lambda's default
                counts=False,
            )
            for name in ("users", "items", "likes")
        ),
    ),
    "server": (
        _Measure("batches", "Batches of requests ranked.", lambda s: s.batches),
        _Measure("replies", "Replies sent.", lambda s: s.replies, label="outcome"),
        _Measure("dead_letters", "Requests nobody could be told about.", lambda s: s.dead_letters),
        _Measure("waiting", "Requests that wait for a like.", lambda s: s.waiting, counts=False),
        _Measure(
            "model_snapshot_timestamp_seconds",
            "When the snapshot was taken that the model in use was built from.",
            lambda s: s.model_snapshot_at_ms and s.model_snapshot_at_ms / 1000,
            counts=False,
        ),
    ),
}


def registry_of(service: str, stats: Any) -> CollectorRegistry:
    """Return a registry of the service's metrics and those of its process.

    `service` is "consumer", "indexer" or "server", `stats` its worker's dataclass.
    """
    registry = CollectorRegistry()
    for of_process in (ProcessCollector, PlatformCollector, GCCollector):
        of_process(registry=registry)
    registry.register(StatsCollector(service, stats))
    if service == "server":
        stats.on_latency_s = Histogram(
            "likewise_server_latency_seconds",
            "From a request's timestamp to its reply.",
            buckets=_LATENCY_BUCKETS_S,
            registry=registry,
        ).observe
    return registry


class StatsCollector:
    """Gives what a service's stats hold now, as metrics named `likewise_<service>_…`."""

    def __init__(self, service: str, stats: Any) -> None:
        """Read nothing yet."""
        self._prefix = f"likewise_{service}"
        self._measures = (*_EVERY_SERVICE, *_MEASURES[service])
        self._stats = stats

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics that have a value."""
        for measure in self._measures:
            value = measure.read(self._stats)
            if value is not None:
                yield self._metric(measure, value)

    def _metric(self, measure: _Measure, value: float | Mapping[str, float]) -> Metric:
        family = (CounterMetricFamily if measure.counts else GaugeMetricFamily)(
            f"{self._prefix}_{measure.name}",
            measure.documentation,
            labels=[measure.label] if measure.label else [],
        )
        if isinstance(value, int | float):
            family.add_metric([], float(value))
        else:
            # A copy at once: the worker goes on while we read.
            for of, amount in dict(value).items():
                family.add_metric([of], amount)
        return family
