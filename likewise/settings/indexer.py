"""The settings `[indexer]`."""

from __future__ import annotations

from pathlib import Path

import msgspec

from likewise.settings.types import Count, Milliseconds, Ranker, Seconds, Share


class IndexerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The indexer, which builds models."""

    interval_s: Seconds = 60.0
    """Build a model if anything has changed and the last build was this long ago."""
    min_interval_s: Seconds = 2.0
    """Minimum time between two builds."""
    changed_share: Share = 0.05
    """Build before the interval has passed if this share of the users has changed."""
    keep_versions: Count = 5
    """Number of model versions to keep. The current version is never removed."""
    scan_chunk: Count = 1_000
    """Users read per round trip to Redis."""
    full_snapshot_every: Count = 100
    """Every n-th build reads all users; the builds between read only the users that have changed."""
    lease_ms: Milliseconds = 30_000
    """Another indexer becomes the leader after the leader has been silent for this long."""
    alternatives: tuple[Ranker, ...] = ()
    """Rankers to build in addition, after each build and from the same snapshot, with their default
    numbers. They are never announced: the gateway answers `?ranker=NAME` by them. Each costs a build."""
    excluded_users_file: Path | None = None
    """File of user ids, one a line, whose likes are left out of the models from the next build on. They are
    still stored, and these users are answered like all others. `likewise audit likes` suggests such users."""
