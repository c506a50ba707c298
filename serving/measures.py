"""The metrics of a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likewise.service.monitoring.measures import (
    BATCH_BUCKETS,
    HELD_BACK,
    REJOINS,
    Distribution,
    Measure,
    ServiceMetrics,
    observe_batches,
)

if TYPE_CHECKING:
    from likewise.service.monitoring.measures import Observer
    from serving.stats import AnsweringStats, ServingStats

_LATENCY_BUCKETS_S = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


def _observe_latencies(stats: ServingStats, observe: Observer) -> None:
    stats.on_latency_s = observe


ANSWERING: tuple[Measure[AnsweringStats], ...] = (
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
        "exposures",
        "Lists written to the topic exposures.",
        lambda s: s.exposures,
    ),
    Measure(
        "exposures_dropped",
        "Lists not written to the topic exposures: Kafka refused them, or was slower than the answers.",
        lambda s: s.exposures_dropped,
    ),
    Measure(
        "lists_not_counted",
        "Lists that count for no experiment, because one of its models is not loaded.",
        lambda s: s.lists_not_counted,
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
        "Stored items, scenarios and experiments that could not be read and are left out.",
        lambda s: s.catalogue.unreadable,
    ),
)
"""Metrics of every service that ranks."""

METRICS: ServiceMetrics[ServingStats] = ServiceMetrics(
    "server",
    measures=(
        Measure("batches", "Batches of requests ranked.", lambda s: s.batches),
        Measure(
            "replies",
            "Replies sent, by outcome: model, popular, or an error code.",
            lambda s: s.replies,
            label="outcome",
        ),
        Measure(
            "dead_letters",
            "Requests written to the dead-letter topic, because no reply could be sent.",
            lambda s: s.dead_letters,
        ),
        Measure(
            "lost_requests",
            "Requests that retention removed before they were answered.",
            lambda s: s.lost,
        ),
        REJOINS,
        Measure(
            "waiting",
            "Requests waiting for the event in `after` to be applied.",
            lambda s: s.waiting,
            counts=False,
        ),
        Measure(
            "backlog",
            "Requests read and waiting to be ranked.",
            lambda s: s.backlog,
            counts=False,
        ),
        Measure(
            "lag",
            "Requests without a reply yet, by partition assigned to this server.",
            lambda s: s.lag,
            label="partition",
            counts=False,
        ),
        HELD_BACK,
        *ANSWERING,
    ),
    distributions=(
        Distribution("batch_requests", "Requests in a batch.", observe_batches, BATCH_BUCKETS),
        Distribution(
            "latency_seconds",
            "Seconds from the timestamp of a request until its reply.",
            _observe_latencies,
            _LATENCY_BUCKETS_S,
        ),
    ),
)
