"""One build for `benchmarks.cluster`, in a separate process that reports its memory as JSON."""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from benchmarks.cluster import Build
from indexer.cluster.errors import ClusterError
from indexer.progress import Unwatched
from indexer.service import building, snapshots_of
from indexer.weighing import reader
from likewise.settings import ModelSettings
from likewise.settings.loader import load_settings
from likewise.store.redis import RedisStore

if TYPE_CHECKING:
    from collections.abc import Callable


def main(victim: str, scheduler: int) -> None:
    """Build a model with the settings of the environment, and print how it went."""
    settings = load_settings()
    build = building(ModelSettings(ranker="blend"))
    began_s, error, workers = time.monotonic(), "", list[dict[str, float]]()
    with closing(RedisStore(settings.redis)) as store:
        snapshots = snapshots_of(settings, store)
        try:
            found = None
            if victim == "idle":
                workers = _memory_of_new_workers(settings.indexer.dask_scheduler)
            else:
                found = snapshots.read_all(reader(store, {}), Unwatched())
                build(found, _killer(victim, scheduler, found))
                workers = _measured(found)
        except ClusterError as failure:
            error = f": {failure}"
        snapshots.forget()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    done = Build(
        seconds=time.monotonic() - began_s,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        peak_mb=usage.ru_maxrss / 1_000,
        likes=0 if found is None else found.likes,
        error=error,
        workers_mb=[one["peak_mb"] for one in workers],
        workers_cpu_seconds=sum(one["cpu_seconds"] for one in workers),
    )
    sys.stdout.write(msgspec.json.encode(done).decode() + "\n")


def usage_of_worker() -> dict[str, float]:
    """Return what this process has used so far. Runs on a worker."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    (peak,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    used = usage.ru_utime + usage.ru_stime
    return {"peak_mb": int(peak.split()[1]) / 1_000, "cpu_seconds": used, "pid": os.getpid()}


def _measured(found: Any) -> list[dict[str, float]]:
    """Return what the workers have used; nothing without a cluster."""
    if not hasattr(found, "crew"):
        return []
    used: dict[str, dict[str, float]] = found.crew._client.run(usage_of_worker)
    return list(used.values())


def _memory_of_new_workers(scheduler: str) -> list[dict[str, float]]:
    from distributed import Client

    from indexer.cluster import tasks

    with Client(scheduler, timeout=300, set_as_default=False) as client:
        client.wait_for_workers(1, timeout=300)
        client.run(tasks.version)
        return list(client.run(usage_of_worker).values())


def _killer(victim: str, scheduler: int, found: Any) -> Callable[[str], None]:
    def kill(step: str) -> None:
        if step != "co-occurrence":
            return
        pid = scheduler if victim == "scheduler" else int(_measured(found)[0]["pid"])
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    return kill if victim in ("worker", "scheduler") else lambda _step: None


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
