"""What each service measures: the names, and how each is read off the service's stats."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_LATENCY_BUCKETS_S = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_DELAY_BUCKETS_S = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3_600.0)
_BATCH_BUCKETS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 100_000)


class Distribution(NamedTuple):
    """A histogram of a service, and the attribute of its stats that is called with each value."""

    name: str
    documentation: str
    attribute: str
    buckets: Sequence[float]


class Measure(NamedTuple):
    """One metric of a service: how it is read off the stats; None leaves it out for now."""

    name: str
    documentation: str
    read: Callable[[Any], float | Mapping[str, float] | None]
    label: str | None = None
    """The label whose values are the mapping's keys."""
    counts: bool = True
    """Whether it only ever grows (a counter) or goes up and down (a gauge)."""


EVERY_SERVICE = (
    Measure("ready", "1 while the service can work.", lambda s: s.heartbeat.ready, counts=False),
    Measure(
        "silent_seconds",
        "Since the loop last turned.",
        lambda s: s.heartbeat.silent_s,
        counts=False,
    ),
    Measure("retries", "Attempts that a server's absence made vain.", lambda s: s.retries),
    Measure(
        "server_errors",
        "The same by what was at fault: kafka, redis or other.",
        lambda s: s.server_errors,
        label="server",
    ),
    Measure(
        "redis_evicts",
        "1 while Redis may remove likes to make room, or has removed keys.",
        lambda s: not s.keeping.sound,
        counts=False,
    ),
    Measure(
        "redis_evicted_keys",
        "Keys that Redis has removed to make room.",
        lambda s: s.keeping.evicted_keys,
        counts=False,
    ),
)
MEASURES = {
    "consumer": (
        Measure("batches", "Batches applied.", lambda s: s.batches),
        Measure("events_applied", "Events applied to Redis.", lambda s: s.events_applied),
        Measure("dead_letters", "Events not understood.", lambda s: s.dead_letters),
        Measure(
            "log_breaks",
            "Times a partition did not go on from what was applied of it.",
            lambda s: s.log_breaks,
            label="reason",
        ),
        Measure(
            "unclear_times",
            "Events whose `timestamp` is no time; it was ignored, and the event applied.",
            lambda s: s.unclear_times,
        ),
        Measure(
            "scattered_users",
            "Users found to have events on several partitions, which are merged by timestamp.",
            lambda s: s.scattered_users,
        ),
        Measure(
            "rejoins",
            "Times the group was joined anew because nobody read a partition on.",
            lambda s: s.rejoins,
        ),
        Measure(
            "lag",
            "Events not applied yet of the partitions that are this consumer's.",
            lambda s: s.lag,
            label="partition",
            counts=False,
        ),
        Measure(
            "held_back",
            "Offsets that can't be read before an open transaction has ended.",
            lambda s: s.held_back,
            label="partition",
            counts=False,
        ),
        Measure(
            "quality_measuring",
            "1 while there is a model to hold new likes against.",
            lambda s: s.quality and s.quality.model_version is not None,
            counts=False,
        ),
        Measure(
            "quality_hit_rate",
            "Share of the last 1,000 sampled new likes that were among the 20 items the current"
            " model would have recommended right before.",
            lambda s: s.quality and s.quality.hit_rate,
            counts=False,
        ),
        Measure(
            "quality_popular_hit_rate",
            "The same share, had everybody been given the 20 most popular items.",
            lambda s: s.quality and s.quality.popular_hit_rate,
            counts=False,
        ),
        Measure(
            "quality_window",
            "Likes that the two shares are taken over, 1,000 at most.",
            lambda s: s.quality and s.quality.window,
            counts=False,
        ),
        Measure(
            "quality_questions",
            "Sampled likes held against the model.",
            lambda s: s.quality and s.quality.outcomes,
            label="outcome",
        ),
        Measure(
            "quality_popular_hits",
            "Of these, how many the popular list had.",
            lambda s: s.quality and s.quality.popular_hits,
        ),
        Measure(
            "quality_dropped",
            "Sampled likes that were not held against the model.",
            lambda s: s.quality and {**s.quality.dropped, **s.quality.discarded},
            label="reason",
        ),
    ),
    "indexer": (
        Measure("leads", "1 while this indexer is the one.", lambda s: s.leads, counts=False),
        Measure("builds", "Models built and announced.", lambda s: s.builds),
        Measure("failures", "Models that could not be written.", lambda s: s.failures),
        Measure(
            "build_seconds", "The last build.", lambda s: s.seconds, label="step", counts=False
        ),
        *(
            Measure(
                f"model_{name}",
                f"{name.capitalize()} in the model built last.",
                lambda s, name=name: s.current and getattr(s.current, name),  # type: ignore[misc]  # mypy types no lambda's default
                counts=False,
            )
            for name in ("users", "items", "likes")
        ),
        Measure(
            "model_snapshot_timestamp_seconds",
            "When the snapshot was taken that the last model was built from.",
            lambda s: s.current and s.current.snapshot_at_ms / 1000,
            counts=False,
        ),
        Measure(
            "model",
            "1 for the model that this indexer built last.",
            lambda s: s.current and {s.current.version: 1.0},
            label="version",
            counts=False,
        ),
    ),
    "server": (
        Measure("batches", "Batches of requests ranked.", lambda s: s.batches),
        Measure("replies", "Replies sent.", lambda s: s.replies, label="outcome"),
        Measure("dead_letters", "Requests nobody could be told about.", lambda s: s.dead_letters),
        Measure("lost_requests", "Requests that retention removed unanswered.", lambda s: s.lost),
        Measure(
            "rejoins",
            "Times the group was joined anew because nobody read a partition on.",
            lambda s: s.rejoins,
        ),
        Measure("waiting", "Requests that wait for a like.", lambda s: s.waiting, counts=False),
        Measure(
            "backlog",
            "Requests that were read and wait for their turn.",
            lambda s: s.backlog,
            counts=False,
        ),
        Measure(
            "lag",
            "Requests without a reply of the partitions that are this server's.",
            lambda s: s.lag,
            label="partition",
            counts=False,
        ),
        Measure(
            "held_back",
            "Offsets that can't be read before an open transaction has ended.",
            lambda s: s.held_back,
            label="partition",
            counts=False,
        ),
        Measure(
            "model",
            "1 for the model that answers.",
            lambda s: s.model_version and {s.model_version: 1.0},
            label="version",
            counts=False,
        ),
        Measure(
            "model_snapshot_timestamp_seconds",
            "When the snapshot was taken that the model in use was built from.",
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
            "From the timestamp of a batch's oldest event to its likes in Redis.",
            "on_delay_s",
            _DELAY_BUCKETS_S,
        ),
    ),
    "server": (
        Distribution("batch_requests", "Requests in a batch.", "on_batch", _BATCH_BUCKETS),
        Distribution(
            "latency_seconds",
            "From a request's timestamp to its reply.",
            "on_latency_s",
            _LATENCY_BUCKETS_S,
        ),
    ),
}
