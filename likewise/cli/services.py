"""`consume`, `index`, `serve` and `gateway`: one service each, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Annotated

import typer

from likewise.cli.context import CommandLine, command_line
from likewise.cli.options import Json
from likewise.service.signals import stop_on_signals

if TYPE_CHECKING:
    from likewise.models.manifest import Manifest


def consume(context: typer.Context) -> None:
    """Run a consumer, which applies likes from Kafka to Redis, until Ctrl-C.

    Several consumers share the work, up to the number of partitions. A second Ctrl-C ends the
    process at once; nothing is lost.

    ```
    likewise consume
    likewise --bootstrap-servers kafka:9092 --redis-url redis://redis consume
    ```
    """
    from consumers.measures import METRICS
    from consumers.service import run_consumer
    from consumers.stats import ConsumerStats
    from likewise.service.runtime import open_runtime

    cli, stats = command_line(context), ConsumerStats()
    with open_runtime(cli.settings, METRICS, stats) as runtime:
        _log_deployment(cli)
        run_consumer(*runtime, stats=stats)


def serve(context: typer.Context) -> None:
    """Run a server, which answers requests for recommendations, until Ctrl-C.

    Several servers share the work, up to the number of partitions.

    ```
    likewise serve
    likewise --models /var/lib/likewise/models serve
    ```
    """
    from likewise.service.runtime import open_runtime
    from serving.measures import METRICS
    from serving.service import run_server
    from serving.stats import ServingStats

    cli, stats = command_line(context), ServingStats()
    with open_runtime(cli.settings, METRICS, stats) as runtime:
        _log_deployment(cli)
        run_server(*runtime, stats=stats)


def gateway(context: typer.Context) -> None:
    """Run a gateway, which serves the HTTP API and the page, until Ctrl-C.

    It ranks by itself and publishes events to Kafka. Run as many as the traffic needs.

    ```
    likewise gateway
    LIKEWISE_GATEWAY_PORT=9000 likewise gateway
    ```
    """
    from gateway.measures import METRICS
    from gateway.service import run_gateway
    from gateway.stats import GatewayStats
    from likewise.service.runtime import open_runtime

    cli, stats = command_line(context), GatewayStats()
    with open_runtime(cli.settings, METRICS, stats) as runtime:
        _log_deployment(cli)
        run_gateway(*runtime, stats=stats)


def index(
    context: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="Build one model now, then exit.")] = False,
    no_announce: Annotated[
        bool,
        typer.Option(
            "--no-announce", help="With --once: do not make the new model the current one."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Run an indexer, which builds models from the likes in Redis, until Ctrl-C.

    If several indexers run, one builds and the others stand by. SIGUSR1 starts a build at once.

    `--once` builds a single model and does not disturb a running indexer. With `--no-announce`,
    servers do not load it: compare it with the current model (`likewise models compare`), let a variant of
    an experiment answer with it (`likewise experiments start`), or make it current (`likewise models use`).

    ```
    likewise index
    likewise index --once --json
    ```
    """
    if as_json and not once:
        raise typer.BadParameter("--json requires --once")
    if no_announce and not once:
        raise typer.BadParameter("--no-announce requires --once")
    if once:
        _index_once(command_line(context), announce=not no_announce, as_json=as_json)
    else:
        _index(command_line(context))


def _index(cli: CommandLine) -> None:
    from indexer.__main__ import build_on_signal
    from indexer.measures import METRICS
    from indexer.service import run_indexer
    from indexer.worker import IndexerStats
    from likewise.service.runtime import BUILD_SILENCE_S, open_runtime

    # The signal must not end the process before there is an indexer to handle it.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    stats = IndexerStats()
    with open_runtime(cli.settings, METRICS, stats, longest_silence_s=BUILD_SILENCE_S) as runtime:
        _log_deployment(cli)
        run_indexer(*runtime, stats=stats, on_start=build_on_signal)


def _log_deployment(cli: CommandLine) -> None:
    from likewise.service.logs import get_logger

    if cli.adopted and cli.running is not None:
        get_logger().info(
            "using a running deployment", pid=cli.running.pid, directory=cli.running.directory
        )


def _index_once(cli: CommandLine, *, announce: bool, as_json: bool) -> None:
    from indexer.service import index_once
    from likewise.cli.build_progress import build_progress
    from likewise.retry import StoppedError
    from likewise.service.logs import configure_logging
    from likewise.service.runtime import log_unknown_settings

    configure_logging(cli.settings.logging, service="indexer")  # to stderr: stdout is for data
    log_unknown_settings()
    _log_deployment(cli)
    with (
        stop_on_signals() as stop,
        cli.broker() as broker,
        cli.store() as store,
        build_progress() as progress,
    ):
        try:
            manifest, current = index_once(
                cli.settings, broker, store, stop, progress=progress, announce=announce
            )
        except StoppedError as stopped:
            raise KeyboardInterrupt from stopped
    why_not = "a newer model was announced in the meantime" if announce else "it was not announced"
    _print_build(manifest, current=current, why_not=why_not, as_json=as_json)


def _print_build(manifest: Manifest, *, current: bool, why_not: str, as_json: bool) -> None:
    from likewise.cli.output import print_json, stdout

    seconds: dict[str, float] = manifest.build["seconds"]
    if as_json:
        built = manifest.announcement()
        print_json(
            {name: getattr(built, name) for name in built.__struct_fields__}
            | {"current": current, "seconds": seconds}
        )
        return
    now = "now current" if current else f"not current: {why_not}"
    console = stdout()
    console.print(f"[bold]{manifest.version}[/] ({now})")
    console.print(f"users   {manifest.users:,}\nitems   {manifest.items:,}")
    console.print(f"likes   {manifest.likes:,}\nranker  {manifest.recipe.ranker}")
    console.print("took    " + ", ".join(f"{step} {took:g} s" for step, took in seconds.items()))
