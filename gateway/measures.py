"""The metrics of a gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likewise.service.monitoring.measures import (
    BATCH_BUCKETS,
    Distribution,
    Measure,
    ServiceMetrics,
)
from serving.measures import ANSWERING

if TYPE_CHECKING:
    from gateway.stats import GatewayStats
    from likewise.service.monitoring.measures import Observer

_LATENCY_BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


def _observe_batches(stats: GatewayStats, observe: Observer) -> None:
    stats.on_batch.append(observe)


def _observe_latencies(stats: GatewayStats, observe: Observer) -> None:
    stats.on_latency_s.append(observe)


METRICS: ServiceMetrics[GatewayStats] = ServiceMetrics(
    "gateway",
    measures=(
        Measure(
            "requests",
            "Answers over HTTP, by endpoint and status.",
            lambda s: s.requests,
            label=("endpoint", "status"),
        ),
        Measure("rejected", "Error answers, by code.", lambda s: s.rejected, label="code"),
        Measure("in_flight", "Requests being answered.", lambda s: s.in_flight, counts=False),
        Measure("published", "Events and items that Kafka has confirmed.", lambda s: s.published),
        *ANSWERING,
    ),
    distributions=(
        Distribution(
            "batch_requests", "Requests ranked together.", _observe_batches, BATCH_BUCKETS
        ),
        Distribution(
            "latency_seconds",
            "Seconds from the head of a request until its answer is ready to be sent.",
            _observe_latencies,
            _LATENCY_BUCKETS_S,
        ),
    ),
)
