"""Takes one snapshot of the likes in Redis, and ends: `python -m benchmarks.one_snapshot`."""

from __future__ import annotations

import time
from contextlib import closing

from indexer.progress import Unwatched
from indexer.snapshot import Snapshots
from likewise.settings.loader import load_settings
from likewise.store.redis import RedisStore


def main() -> None:
    """Take it as the indexer does."""
    settings = load_settings()
    with closing(RedisStore(settings.redis)) as store:
        Snapshots(
            store,
            chunk=settings.indexer.scan_chunk,
            full_every=1,
            clock_ms=lambda: time.time_ns() // 1_000_000,
        ).take(Unwatched())


if __name__ == "__main__":
    main()
