"""The metrics of an indexer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likewise.service.monitoring.measures import Measure, ServiceMetrics

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from indexer.worker import IndexerStats
    from likewise.messages.announcements import Announcement


def _model(
    name: str,
    documentation: str,
    read: Callable[[Announcement], float | Mapping[str, float]],
    *,
    label: str | None = None,
) -> Measure[IndexerStats]:
    """Return a gauge of the last model built; it has no value before the first build."""
    return Measure(
        name,
        documentation,
        lambda s: None if s.current is None else read(s.current),
        label,
        counts=False,
    )


METRICS: ServiceMetrics[IndexerStats] = ServiceMetrics(
    "indexer",
    measures=(
        Measure(
            "leads",
            "1 while this indexer is the leader, which builds.",
            lambda s: s.leads,
            counts=False,
        ),
        Measure("builds", "Models built.", lambda s: s.builds),
        Measure("failures", "Builds whose model could not be written.", lambda s: s.failures),
        Measure(
            "build_seconds",
            "Duration of the last build, by step.",
            lambda s: s.seconds,
            label="step",
            counts=False,
        ),
        Measure(
            "alternative_seconds",
            "Duration of the last build of each alternative, by ranker.",
            lambda s: s.alternative_seconds,
            label="ranker",
            counts=False,
        ),
        Measure(
            "alternative_failures",
            "Alternatives that could not be built, by ranker.",
            lambda s: s.alternative_failures,
            label="ranker",
        ),
        Measure(
            "canary",
            "1 for the version that is tried on a share of the users; no value without one.",
            lambda s: {s.canary.version: 1.0} if s.canary.version else None,
            label="version",
            counts=False,
        ),
        Measure(
            "canary_effect",
            "How the canary's likes differ from those of the current model, relative to these.",
            lambda s: s.canary.effect,
            counts=False,
        ),
        Measure(
            "canaries",
            "Canaries that have ended, by decision: promoted, rolled_back or stopped.",
            lambda s: s.canary.ended,
            label="decision",
        ),
        _model("model_users", "Users in the last model built.", lambda m: m.users),
        _model("model_items", "Items in the last model built.", lambda m: m.items),
        _model("model_likes", "Likes in the last model built.", lambda m: m.likes),
        _model(
            "model_snapshot_timestamp_seconds",
            "When the snapshot of the last model built was taken, in seconds since 1970.",
            lambda m: m.snapshot_at_ms / 1000,
        ),
        _model(
            "model",
            "1 for the last model that this indexer built.",
            lambda m: {m.version: 1.0},
            label="version",
        ),
    ),
)
