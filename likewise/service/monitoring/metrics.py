"""Prometheus metrics, read from a worker's stats when they are scraped, not on the hot path.

Histograms are the exception: the worker records each batch or reply.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from likewise.service.monitoring.measures import DISTRIBUTIONS, EVERY_SERVICE, MEASURES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from prometheus_client.core import Metric

    from likewise.service.monitoring.measures import Measure


def registry_of(service: str, stats: Any) -> CollectorRegistry:
    """Return a registry with the metrics of the service and of its process.

    `service` is "consumer", "indexer" or "server", `stats` its worker's dataclass.
    """
    registry = CollectorRegistry()
    for of_process in (ProcessCollector, PlatformCollector, GCCollector):
        of_process(registry=registry)
    registry.register(StatsCollector(service, stats))
    for name, documentation, attribute, buckets in DISTRIBUTIONS.get(service, ()):
        histogram = Histogram(
            f"likewise_{service}_{name}", documentation, buckets=buckets, registry=registry
        )
        setattr(stats, attribute, histogram.observe)
    return registry


def sample_labels(service: str) -> dict[str, set[str]]:
    """Return the labels of each sample of the service, without those of its process."""
    labels = {
        f"likewise_{service}_{one.name}{'_total' if one.counts else ''}": {one.label}
        if one.label
        else set()
        for one in (*EVERY_SERVICE, *MEASURES[service])
    }
    for one in DISTRIBUTIONS.get(service, ()):
        name = f"likewise_{service}_{one.name}"
        labels |= {f"{name}_bucket": {"le"}, f"{name}_sum": set(), f"{name}_count": set()}
    return labels


class StatsCollector:
    """Yields the current stats of a service as metrics named `likewise_<service>_…`."""

    def __init__(self, service: str, stats: Any) -> None:
        """Read nothing yet."""
        self._prefix = f"likewise_{service}"
        self._measures = (*EVERY_SERVICE, *MEASURES[service])
        self._stats = stats

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics that have a value."""
        for measure in self._measures:
            value = measure.read(self._stats)
            if value is not None:
                yield self._metric(measure, value)

    def _metric(self, measure: Measure, value: float | Mapping[str, float]) -> Metric:
        family = (CounterMetricFamily if measure.counts else GaugeMetricFamily)(
            f"{self._prefix}_{measure.name}",
            measure.documentation,
            labels=[measure.label] if measure.label else [],
        )
        if isinstance(value, int | float):
            family.add_metric([], float(value))
        else:
            # A copy, since the worker changes it meanwhile.
            for of, amount in dict(value).items():
                family.add_metric([of], amount)
        return family
