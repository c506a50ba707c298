"""The metrics of a consumer."""

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
    from collections.abc import Callable, Mapping

    from consumers.prequential.stats import QualityStats
    from consumers.stats import ConsumerStats
    from likewise.service.monitoring.measures import Observer

_DELAY_BUCKETS_S = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3_600.0)


def _observe_delays(stats: ConsumerStats, observe: Observer) -> None:
    stats.on_delay_s = observe


def _quality(
    name: str,
    documentation: str,
    read: Callable[[QualityStats], float | Mapping[str, float] | None],
    *,
    label: str | None = None,
    counts: bool = True,
) -> Measure[ConsumerStats]:
    """Return a metric of the measured quality, left out while quality is not measured."""
    return Measure(
        f"quality_{name}",
        documentation,
        lambda s: None if s.quality is None else read(s.quality),
        label,
        counts,
    )


_QUALITY = (
    _quality(
        "measuring",
        "1 while there is a model to test new likes against.",
        lambda q: q.model_version is not None,
        counts=False,
    ),
    _quality(
        "hit_rate",
        "Share of the last 1,000 sampled new likes that were among the 20 items that the current model would have recommended just before.",
        lambda q: q.hit_rate,
        counts=False,
    ),
    _quality(
        "popular_hit_rate",
        "The same share for the 20 most popular items instead of recommendations.",
        lambda q: q.popular_hit_rate,
        counts=False,
    ),
    _quality(
        "window",
        "Number of likes in the two shares, 1,000 at most.",
        lambda q: q.window,
        counts=False,
    ),
    _quality(
        "questions",
        "Sampled likes tested, by outcome: hit, miss, or unknown_item (not in the model).",
        lambda q: q.outcomes,
        label="outcome",
    ),
    _quality(
        "popular_hits",
        "Sampled likes that were among the 20 most popular items.",
        lambda q: q.popular_hits,
    ),
    _quality(
        "dropped",
        "Sampled likes that were not tested, by reason.",
        lambda q: {**q.dropped, **q.discarded},
        label="reason",
    ),
)

_ATTRIBUTION: tuple[Measure[ConsumerStats], ...] = (
    Measure(
        "experiment_lists",
        "Lists counted for experiments, by experiment and variant; both are empty for lists outside experiments.",
        lambda s: s.attribution.lists,
        label=("experiment", "variant"),
    ),
    Measure(
        "experiment_likes",
        "Likes credited to these lists.",
        lambda s: s.attribution.likes,
        label=("experiment", "variant"),
    ),
    Measure(
        "experiment_uncounted",
        "Lists and likes that did not count: more than an hour late, or too many of one user.",
        lambda s: s.attribution.uncounted,
        label="reason",
    ),
    Measure(
        "experiment_conflicts",
        "Batches counted again, because another consumer changed the counts of one of their users.",
        lambda s: s.attribution.conflicts,
    ),
    Measure(
        "experiment_lag",
        "Exposures and likes not counted yet, by `topic/number`; absent without experiments.",
        lambda s: s.attribution.lag,
        label="partition",
        counts=False,
    ),
)

METRICS: ServiceMetrics[ConsumerStats] = ServiceMetrics(
    "consumer",
    measures=(
        Measure("batches", "Batches of events applied to Redis.", lambda s: s.batches),
        Measure("events_applied", "Events applied to Redis.", lambda s: s.events_applied),
        Measure(
            "documents_applied",
            "Items, scenarios and experiments applied to Redis; several records of one in a batch count once.",
            lambda s: s.documents_applied,
        ),
        Measure(
            "dead_letters",
            "Events written to the dead-letter topic.",
            lambda s: s.dead_letters,
        ),
        Measure(
            "log_breaks",
            "Times a partition did not continue at the applied position: retention removed events first, the topic was recreated (remade), or its log was truncated.",
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
            "new_item_likes",
            "Likes of items that the current model does not have.",
            lambda s: s.new_item_likes,
        ),
        REJOINS,
        Measure(
            "lag",
            "Offsets not applied yet, by partition assigned to this consumer: the number for `likes`, `topic/number` for others.",
            lambda s: s.lag,
            label="partition",
            counts=False,
        ),
        HELD_BACK,
        *_ATTRIBUTION,
        *_QUALITY,
    ),
    distributions=(
        Distribution("batch_records", "Records in a batch.", observe_batches, BATCH_BUCKETS),
        Distribution(
            "delay_seconds",
            "Seconds from the timestamp of a batch's oldest event until the batch is in Redis.",
            _observe_delays,
            _DELAY_BUCKETS_S,
        ),
    ),
)
