"""A Dask scheduler and workers as child processes of `likewise up`, on the loopback interface."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from likewise.cli.children import child_environment
from likewise.cli.supervision import ServiceSpec
from likewise.embedded import free_port
from likewise.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from likewise.settings import Settings

_HOST = "127.0.0.1"


def with_dask(settings: Settings, directory: Path, given: Collection[str]) -> Settings:
    """Return the settings of an indexer that builds on a scheduler at a free port of this machine.

    The workers share a directory below this one.

    Raises:
        SettingsError: the settings name a scheduler already.
        MissingExtraError: the extra `cluster` is not installed.
    """
    from indexer.cluster.connection import check_settings

    if "indexer.dask_scheduler" in given:
        raise SettingsError(
            "--dask-workers starts a scheduler, but indexer.dask_scheduler names one; leave one of them out"
        )
    indexer = msgspec.structs.replace(
        settings.indexer,
        engine="dask",
        dask_scheduler=f"tcp://{_HOST}:{free_port()}",
        dask_dashboard=f"http://{_HOST}:{free_port()}/status",
        dask_directory=(directory / "shards").absolute(),
    )
    check_settings(indexer)
    return msgspec.structs.replace(settings, indexer=indexer)


def dask_specs(settings: Settings, directory: Path, workers: int) -> Iterator[ServiceSpec]:
    """Yield the specification of each worker and of the scheduler."""
    indexer = settings.indexer
    port = indexer.dask_scheduler.rpartition(":")[2]
    dashboard = indexer.dask_dashboard.removesuffix("/status").removeprefix("http://")
    local = str((directory / "dask").absolute())
    for number in range(1, workers + 1):
        own = free_port()
        where = ["--host", _HOST, "--dashboard-address", f"{_HOST}:{own}"]
        yield ServiceSpec(
            f"worker-{number}",
            [
                indexer.dask_scheduler,
                *where,
                "--nthreads",
                "1",
                "--no-nanny",
                "--local-directory",
                local,
            ],
            child_environment(settings, 0),
            own,
            module="distributed.cli.dask_worker",
            ready_path="/health",
        )
    # Last, since parts are stopped in order: a worker that leaves tells its scheduler.
    yield ServiceSpec(
        "scheduler",
        ["--host", _HOST, "--port", port, "--dashboard-address", dashboard],
        child_environment(settings, 0),
        int(dashboard.rpartition(":")[2]),
        module="distributed.cli.dask_scheduler",
        ready_path="/health",
    )
