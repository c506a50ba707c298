"""Prometheus metrics, read from a worker's stats at each scrape; the hot path makes no call for them.

The exceptions are the histograms, one call for each batch or reply: they cannot be read afterwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from likewise.service.monitoring.measures import EVERY_SERVICE, StatsT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from prometheus_client.core import Metric

    from likewise.service.monitoring.measures import Measure, ServiceMetrics


def registry_of(metrics: ServiceMetrics[StatsT], stats: StatsT) -> CollectorRegistry:
    """Return a registry of the service's metrics and those of its process."""
    registry = CollectorRegistry()
    for of_process in (ProcessCollector, PlatformCollector, GCCollector):
        of_process(registry=registry)
    prefix = f"likewise_{metrics.service}"
    registry.register(StatsCollector(prefix, [*EVERY_SERVICE, *metrics.measures], stats))
    for one in metrics.distributions:
        histogram = Histogram(
            f"{prefix}_{one.name}", one.documentation, buckets=one.buckets, registry=registry
        )
        one.observe_with(stats, histogram.observe)
    return registry


def sample_labels(metrics: ServiceMetrics[StatsT]) -> dict[str, set[str]]:
    """Return the labels of each sample that the service may report, without those of its process."""
    prefix = f"likewise_{metrics.service}"
    measures: Sequence[Measure[StatsT]] = (*EVERY_SERVICE, *metrics.measures)
    labels = {
        f"{prefix}_{one.name}{'_total' if one.counts else ''}": set(one.labels) for one in measures
    }
    for one in metrics.distributions:
        name = f"{prefix}_{one.name}"
        labels |= {f"{name}_bucket": {"le"}, f"{name}_sum": set(), f"{name}_count": set()}
    return labels


class StatsCollector(Generic[StatsT]):
    """Reports what a service's stats hold now, as metrics whose names begin with `prefix`."""

    def __init__(self, prefix: str, measures: Sequence[Measure[StatsT]], stats: StatsT) -> None:
        """Read nothing yet."""
        self._prefix = prefix
        self._measures = measures
        self._stats = stats

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics that have a value."""
        for measure in self._measures:
            value = measure.read(self._stats)
            if value is not None:
                yield self._metric(measure, value)

    def _metric(self, measure: Measure[StatsT], value: float | Mapping[Any, float]) -> Metric:
        family = (CounterMetricFamily if measure.counts else GaugeMetricFamily)(
            f"{self._prefix}_{measure.name}",
            measure.documentation,
            labels=measure.labels,
        )
        if isinstance(value, int | float):
            family.add_metric([], float(value))
        else:
            # The copy is made at once, since the worker continues to write.
            for of, amount in dict(value).items():
                family.add_metric([of] if isinstance(of, str) else of, amount)
        return family
