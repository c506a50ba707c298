"""A model built on a Dask cluster next to one built in one process: time, memory, and traffic.

`python -m benchmarks.cluster` runs three small sizes; `--full` larger ones. Each worker gets a limit of a quarter of
the memory that the build in one process takes, where that is more than a worker without a shard takes; Dask's
nanny kills a worker that exceeds it. With `--kill`, a worker is killed while links are computed, and in another build
the scheduler.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import msgspec
import typer

from benchmarks.measure import Full, Quick
from benchmarks.rig import fill
from benchmarks.synthetic import synthetic_likes
from likewise.embedded import embedded_redis, free_port
from likewise.settings import RedisSettings
from likewise.store.redis import RedisStore

if TYPE_CHECKING:
    from collections.abc import Iterator

_WORKERS = 2


class Size(NamedTuple):
    """How many likes there are."""

    users: int
    items: int
    likes_per_user: int = 40


QUICK = (Size(500, 300),)
NORMAL = (Size(10_000, 4_000), Size(20_000, 4_000), Size(40_000, 4_000))
FULL = (Size(50_000, 10_000), Size(100_000, 20_000), Size(200_000, 20_000))


class Build(msgspec.Struct, frozen=True):
    """How a build in a separate process went."""

    seconds: float
    cpu_seconds: float
    """Of the indexer."""
    peak_mb: float
    """Of the indexer."""
    likes: int
    error: str = ""
    workers_mb: list[float] = []
    workers_cpu_seconds: float = 0.0


def main(
    quick: Quick = False,
    full: Full = False,
    shards: Annotated[str, typer.Option(help="Numbers of shards, by commas.")] = "2,8",
    kill: Annotated[
        bool, typer.Option("--kill", help="Kill a worker, then the scheduler.")
    ] = False,
) -> None:
    """Print a table of builds in one process and on a cluster of two workers."""
    typer.echo(
        "| users | items | likes | build | seconds | indexer, MB | a worker, MB | CPU s of all |"
    )
    typer.echo("| ---: | ---: | ---: | --- | ---: | ---: | ---: | ---: |")
    for size in QUICK if quick else FULL if full else NORMAL:
        for name, build in _builds(size, [int(one) for one in shards.split(",")], kill):
            workers = f"{max(build.workers_mb):.0f}" if build.workers_mb else ""
            cpu = build.cpu_seconds + build.workers_cpu_seconds
            typer.echo(
                f"| {size.users:,} | {size.items:,} | {build.likes:,} | {name}{build.error} "
                f"| {build.seconds:.1f} | {build.peak_mb:.0f} | {workers} | {cpu:.1f} |"
            )


def _builds(size: Size, shards: list[int], kill: bool) -> Iterator[tuple[str, Build]]:
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = stack.enter_context(embedded_redis(directory / "redis"))
        matrix = synthetic_likes(size.users, size.items, likes_per_user=size.likes_per_user)
        with closing(RedisStore(RedisSettings(url=url))) as store:
            fill(store, matrix)
        alone = _build(url, {})
        yield "one process", alone
        quarter_mb = int(alone.peak_mb / 4)
        idle_mb = _on_cluster(directory, url, 1, 4_096, "idle").workers_mb
        limited = quarter_mb > 1.2 * max(idle_mb)
        yield "a worker that has only started", msgspec.structs.replace(alone, workers_mb=idle_mb)
        for count in shards:
            limit = f", each worker limited to {quarter_mb} MB" if limited else ""
            name = f"{_WORKERS} workers, {count} shards{limit}"
            yield name, _on_cluster(directory, url, count, quarter_mb if limited else 4_096)
        for victim in ("worker", "scheduler") if kill else ():
            yield f"{victim} killed", _on_cluster(directory, url, max(shards), 4_096, victim)


def _on_cluster(directory: Path, url: str, shards: int, limit_mb: int, victim: str = "") -> Build:
    """Build once on a new cluster; `victim` is killed when links begin, or is "idle" to build nothing."""
    address = f"tcp://127.0.0.1:{free_port()}"
    here = ["--host", "127.0.0.1", "--no-dashboard"]
    environment = {**os.environ, "LIKEWISE_REDIS_URL": url}
    scheduler = _start("dask_scheduler", [*here, "--port", address.rpartition(":")[2]], environment)
    options = ["--nthreads", "1", "--memory-limit", f"{limit_mb}MB", "--local-directory"]
    worker = [address, *here, *options, str(directory / "dask"), "--death-timeout", "300"]
    workers = [_start("dask_worker", worker, environment) for _ in range(_WORKERS)]
    settings = {
        "LIKEWISE_INDEXER_ENGINE": "dask",
        "LIKEWISE_INDEXER_DASK_SCHEDULER": address,
        "LIKEWISE_INDEXER_DASK_SHARDS": str(shards),
        "LIKEWISE_INDEXER_DASK_DIRECTORY": str(directory / "shards"),
        "LIKEWISE_INDEXER_DASK_TIMEOUT_S": "300",
    }
    try:
        started = _build(url, settings, "idle")  # and so the scheduler and the workers are up
        return started if victim == "idle" else _build(url, settings, victim, scheduler.pid)
    finally:
        for process in (*workers, scheduler):
            process.terminate()
        for process in (*workers, scheduler):
            process.wait()


def _build(url: str, settings: dict[str, str], victim: str = "", scheduler: int = 0) -> Build:
    environment = {**os.environ, "LIKEWISE_REDIS_URL": url, "OPENBLAS_NUM_THREADS": "1", **settings}
    command = [sys.executable, "-m", "benchmarks.cluster_build", victim, str(scheduler)]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return msgspec.convert(json.loads(done.stdout.splitlines()[-1]), Build)


def _start(
    module: str, arguments: list[str], environment: dict[str, str]
) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", f"distributed.cli.{module}", *arguments]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


if __name__ == "__main__":
    typer.run(main)
