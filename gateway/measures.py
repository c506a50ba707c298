"""The metrics of a gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likewise.service.monitoring.measures import (
    BATCH_BUCKETS,
    Distribution,
    Measure,
    ServiceMetrics,
)

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
        Measure(
            "shown_recorded",
            "Lists whose items were recorded as shown.",
            lambda s: s.shown_recorded,
        ),
        Measure(
            "shown_dropped",
            "Lists not recorded as shown: Redis was slower than the answers, or refused them.",
            lambda s: s.shown_dropped,
        ),
        Measure(
            "new_items",
            "Items that the model in use does not have and that can be recommended.",
            lambda s: s.new_items,
            counts=False,
        ),
        Measure(
            "model",
            "1 for the model in use.",
            lambda s: {s.model_version: 1.0} if s.model_version else None,
            label="version",
            counts=False,
        ),
        Measure(
            "model_snapshot_timestamp_seconds",
            "When the snapshot of the model in use was taken, in seconds since 1970.",
            lambda s: s.model_snapshot_at_ms and s.model_snapshot_at_ms / 1000,
            counts=False,
        ),
        Measure(
            "catalogue_items",
            "Items of the catalogue in memory.",
            lambda s: s.catalogue.items,
            counts=False,
        ),
        Measure(
            "catalogue_age_seconds",
            "Seconds since the catalogue in memory was last compared with the store.",
            lambda s: s.catalogue.age_s,
            counts=False,
        ),
        Measure(
            "catalogue_unreadable",
            "Stored items and scenarios that could not be read and are left out.",
            lambda s: s.catalogue.unreadable,
        ),
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
