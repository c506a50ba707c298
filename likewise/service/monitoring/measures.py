"""The metrics of each service: names, help, and how to read them from the service's stats."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_LATENCY_BUCKETS_S = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_DELAY_BUCKETS_S = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3_600.0)
_BATCH_BUCKETS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 100_000)


class Distribution(NamedTuple):
    """A histogram of a service. The attribute of its stats is a callable that records a value."""

    name: str
    documentation: str
    attribute: str
    buckets: Sequence[float]


class Measure(NamedTuple):
    """One metric of a service. `read` returns its value; None leaves the metric out."""

    name: str
    documentation: str
    read: Callable[[Any], float | Mapping[str, float] | None]
    label: str | None = None
    """The label whose values are the mapping's keys."""
    counts: bool = True
    """Whether it is a counter; if not, it is a gauge."""


EVERY_SERVICE = (
    Measure(
        "ready",
        "1 while the service is ready: it can work now.",
        lambda s: s.heartbeat.ready,
        counts=False,
    ),
    Measure(
        "silent_seconds",
        "Seconds since the last turn of the service's loop.",
        lambda s: s.heartbeat.silent_s,
        counts=False,
    ),
    Measure(
        "retries", "Calls to Kafka or Redis that failed and were retried.", lambda s: s.retries
    ),
    Measure(
        "server_errors",
        "Calls that failed and were retried, by server: kafka, redis or other.",
        lambda s: s.server_errors,
        label="server",
    ),
    Measure(
        "redis_evicts",
        "1 while Redis is configured to evict keys, or has evicted any.",
        lambda s: not s.keeping.sound,
        counts=False,
    ),
    Measure(
        "redis_evicted_keys",
        "Keys that Redis has evicted, by its own count.",
        lambda s: s.keeping.evicted_keys,
        counts=False,
    ),
)
MEASURES = {
    "consumer": (
        Measure("batches", "Batches of events applied to Redis.", lambda s: s.batches),
        Measure("events_applied", "Events applied to Redis.", lambda s: s.events_applied),
        Measure(
            "dead_letters", "Events written to the dead-letter topic.", lambda s: s.dead_letters
        ),
        Measure(
            "log_breaks",
            "Times a partition did not continue at the applied position: retention removed events first,"
            " the topic was recreated (remade), or its log was truncated.",
            lambda s: s.log_breaks,
            label="reason",
        ),
        Measure(
            "unclear_times",
            "Events applied without their `timestamp`, which could not be parsed.",
            lambda s: s.unclear_times,
        ),
        Measure(
            "scattered_users",
            "Users found to have events on several partitions, which are then merged by timestamp.",
            lambda s: s.scattered_users,
        ),
        Measure(
            "rejoins",
            "Times the service rejoined its group because a partition made no progress.",
            lambda s: s.rejoins,
        ),
        Measure(
            "lag",
            "Events not applied yet, by partition assigned to this consumer.",
            lambda s: s.lag,
            label="partition",
            counts=False,
        ),
        Measure(
            "held_back",
            "Offsets behind an open transaction, which can't be read before it ends.",
            lambda s: s.held_back,
            label="partition",
            counts=False,
        ),
        Measure(
            "quality_measuring",
            "1 while there is a model to test new likes against.",
            lambda s: s.quality and s.quality.model_version is not None,
            counts=False,
        ),
        Measure(
            "quality_hit_rate",
            "Share of the last 1,000 sampled new likes that were among the 20 items that the current"
            " model would have recommended just before.",
            lambda s: s.quality and s.quality.hit_rate,
            counts=False,
        ),
        Measure(
            "quality_popular_hit_rate",
            "The same share for the 20 most popular items instead of recommendations.",
            lambda s: s.quality and s.quality.popular_hit_rate,
            counts=False,
        ),
        Measure(
            "quality_window",
            "Number of likes in the two shares, 1,000 at most.",
            lambda s: s.quality and s.quality.window,
            counts=False,
        ),
        Measure(
            "quality_questions",
            "Sampled likes tested, by outcome: hit, miss, or unknown_item (not in the model).",
            lambda s: s.quality and s.quality.outcomes,
            label="outcome",
        ),
        Measure(
            "quality_popular_hits",
            "Sampled likes that were among the 20 most popular items.",
            lambda s: s.quality and s.quality.popular_hits,
        ),
        Measure(
            "quality_dropped",
            "Sampled likes that were not tested, by reason.",
            lambda s: s.quality and {**s.quality.dropped, **s.quality.discarded},
            label="reason",
        ),
    ),
    "indexer": (
        Measure(
            "leads",
            "1 while this indexer is the leader, which builds.",
            lambda s: s.leads,
            counts=False,
        ),
        Measure("builds", "Models built and announced.", lambda s: s.builds),
        Measure("failures", "Builds whose model could not be written.", lambda s: s.failures),
        Measure(
            "build_seconds",
            "Duration of the last build, by step.",
            lambda s: s.seconds,
            label="step",
            counts=False,
        ),
        *(
            Measure(
                f"model_{name}",
                f"{name.capitalize()} in the last model built.",
                lambda s, name=name: s.current and getattr(s.current, name),  # type: ignore[misc]  # mypy types no lambda's default
                counts=False,
            )
            for name in ("users", "items", "likes")
        ),
        Measure(
            "model_snapshot_timestamp_seconds",
            "When the snapshot of the last model built was taken, in seconds since 1970.",
            lambda s: s.current and s.current.snapshot_at_ms / 1000,
            counts=False,
        ),
        Measure(
            "model",
            "1 for the last model that this indexer built.",
            lambda s: s.current and {s.current.version: 1.0},
            label="version",
            counts=False,
        ),
    ),
    "server": (
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
        Measure(
            "rejoins",
            "Times the service rejoined its group because a partition made no progress.",
            lambda s: s.rejoins,
        ),
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
        Measure(
            "held_back",
            "Offsets behind an open transaction, which can't be read before it ends.",
            lambda s: s.held_back,
            label="partition",
            counts=False,
        ),
        Measure(
            "model",
            "1 for the model in use.",
            lambda s: s.model_version and {s.model_version: 1.0},
            label="version",
            counts=False,
        ),
        Measure(
            "model_snapshot_timestamp_seconds",
            "When the snapshot of the model in use was taken, in seconds since 1970.",
            lambda s: s.model_snapshot_at_ms and s.model_snapshot_at_ms / 1000,
            counts=False,
        ),
    ),
}


DISTRIBUTIONS = {
    "consumer": (
        Distribution("batch_records", "Records in a batch.", "on_batch", _BATCH_BUCKETS),
        Distribution(
            "delay_seconds",
            "Seconds from the timestamp of a batch's oldest event until the batch is in Redis.",
            "on_delay_s",
            _DELAY_BUCKETS_S,
        ),
    ),
    "server": (
        Distribution("batch_requests", "Requests in a batch.", "on_batch", _BATCH_BUCKETS),
        Distribution(
            "latency_seconds",
            "Seconds from the timestamp of a request until its reply.",
            "on_latency_s",
            _LATENCY_BUCKETS_S,
        ),
    ),
}
