"""The settings `[indexer]`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

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
    engine: Literal["local", "dask"] = "local"
    """`local`: builds run in the indexer. `dask`: on the workers of a Dask cluster, which keep the likes;
    docs/cluster.md."""
    dask_scheduler: str = ""
    """Address of the Dask scheduler: `tcp://host:8786`, or `tls://` with the settings of TLS below."""
    dask_dashboard: str = ""
    """Address of Dask's dashboard, such as `http://scheduler:8787/status`; `likewise status` shows it."""
    dask_shards: Annotated[int, Meta(ge=1, le=10_000)] = 8
    """Parts that the users are divided into; at least one for each thread of the cluster. A task holds one part
    at a time."""
    dask_directory: Path | None = None
    """Directory that all Dask workers share, where they keep their shards: others can then open the shards of a
    lost worker. Not set: workers keep them in their own local directories, and a lost shard is read again
    from Redis, which fails the build if one of its users has changed meanwhile."""
    dask_timeout_s: Seconds = 30.0
    """How long to wait for the Dask scheduler, and for a first worker."""
    dask_tls_ca_file: Path | None = None
    """Certificate authority of the Dask cluster, PEM. Turns TLS on, with `tls://` addresses."""
    dask_tls_cert_file: Path | None = None
    """Certificate of the indexer for the Dask cluster, PEM."""
    dask_tls_key_file: Path | None = None
    """Private key of that certificate, PEM."""
    excluded_users_file: Path | None = None
    """File of user ids, one a line, whose likes are left out of the models from the next build on. They are
    still stored, and these users are answered like all others. `likewise audit likes` suggests such users."""
