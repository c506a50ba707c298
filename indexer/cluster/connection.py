"""Connecting to the Dask scheduler: with TLS if so set, and to workers that run the same code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexer.cluster import tasks
from indexer.cluster.errors import ClusterError
from likewise.errors import SettingsError
from likewise.extras import missing_extra

if TYPE_CHECKING:
    from collections.abc import Mapping

    from distributed import Client
    from distributed.security import Security

    from likewise.settings import IndexerSettings


def check_settings(settings: IndexerSettings) -> None:
    """Check that a cluster can be used with these settings; connect to nothing.

    Raises:
        SettingsError: there is no address of a scheduler, or the settings of TLS do not fit it.
        MissingExtraError: the extra `cluster` is not installed.
    """
    if not settings.dask_scheduler:
        raise SettingsError(
            "indexer.engine is 'dask', but indexer.dask_scheduler is not set; set it to the address of the "
            "scheduler, such as tcp://scheduler:8786"
        )
    if settings.dask_tls_ca_file is not None and not settings.dask_scheduler.startswith("tls://"):
        raise SettingsError(
            f"indexer.dask_tls_ca_file is set, but indexer.dask_scheduler is {settings.dask_scheduler!r}; "
            "write tls:// instead of tcp://"
        )
    try:
        import distributed as distributed
    except ModuleNotFoundError as error:
        raise missing_extra(error) or error from error


def connect(settings: IndexerSettings) -> Client:
    """Return a client of the scheduler, once it has at least one worker and all run this version of likewise.

    Raises:
        ClusterError: the scheduler cannot be reached, has no workers, or a worker runs other code.
    """
    import dask
    from distributed import Client

    timeout_s = settings.dask_timeout_s
    # How long a call to a scheduler that is gone blocks.
    dask.config.set({"distributed.comm.timeouts.connect": f"{timeout_s}s"})
    try:
        client = Client(
            settings.dask_scheduler,
            security=_security(settings),
            timeout=timeout_s,
            direct_to_workers=True,
            set_as_default=False,
            name="likewise-indexer",
        )
    except (OSError, TimeoutError) as error:
        raise ClusterError(
            f"the Dask scheduler at {settings.dask_scheduler} (indexer.dask_scheduler) cannot be reached: "
            f"{error or type(error).__name__}; start it with `dask scheduler`, or correct the setting"
        ) from error
    try:
        _check_workers(client, settings)
    except BaseException:
        close(client)
        raise
    return client


def close(client: Client) -> None:
    """Close the client, whether or not the scheduler still answers."""
    client.close(timeout=2)


def _security(settings: IndexerSettings) -> Security | None:
    from distributed.security import Security

    if settings.dask_tls_ca_file is None:
        return None
    files = (settings.dask_tls_ca_file, settings.dask_tls_cert_file, settings.dask_tls_key_file)
    ca, cert, key = (None if path is None else str(path) for path in files)
    return Security(
        tls_ca_file=ca, tls_client_cert=cert, tls_client_key=key, require_encryption=True
    )


def _check_workers(client: Client, settings: IndexerSettings) -> None:
    try:
        client.wait_for_workers(1, timeout=settings.dask_timeout_s)
    except TimeoutError as error:
        raise ClusterError(
            f"the Dask scheduler at {settings.dask_scheduler} has no workers; start some with "
            f"`dask worker {settings.dask_scheduler}`"
        ) from error
    try:
        versions: Mapping[str, str] = client.run(tasks.version)
    except Exception as error:
        raise ClusterError(
            f"a Dask worker cannot run likewise: {error}; install the same likewise[cluster] on the "
            "scheduler, the workers and the indexer"
        ) from error
    ours = tasks.version()
    for address, theirs in sorted(versions.items()):
        if theirs != ours:
            raise ClusterError(
                f"the Dask worker at {address} runs likewise {theirs}, this indexer {ours}; install the "
                "same version on both"
            )
    try:
        client.get_versions(check=True)
    except ValueError as error:
        raise ClusterError(
            f"the packages of the indexer, the scheduler and the workers differ: {error}"
        ) from error
