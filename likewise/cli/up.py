"""`up`: all services and the servers they need, in one terminal, until Ctrl-C."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from likewise.cli.context import command_line
from likewise.cli.kafka_kind import KafkaKind
from likewise.cli.output import complain, stdout
from likewise.errors import LikewiseError, SettingsError
from likewise.service.signals import stop_on_signals

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from likewise.cli.children import Counts
    from likewise.cli.context import CommandLine
    from likewise.cli.demo.films import FilmLikes
    from likewise.cli.local_servers import LocalServers
    from likewise.cli.supervision import Part, Service, ServiceSpec
    from likewise.settings import Settings
    from likewise.settings.gateway import GatewaySettings

_COLOURS = {
    "consumer": "cyan",
    "indexer": "yellow",
    "server": "green",
    "gateway": "magenta",
    "scheduler": "blue",
    "worker": "blue",
    "up": "bold",
}
_NAME_WIDTH = 10
_EXAMPLES = ("like u1 i1", "like u2 i1", "like u2 i2", "recommend u1", "status")
_DEMO_EXAMPLES = ("recommend 15 --explain", "similar 260", "items show 260", "status")
# Enough for the hit rate to settle within minutes, and too little to slow likes down.
_QUALITY_SAMPLES_PER_S = 10.0


def up(
    context: typer.Context,
    kafka: Annotated[
        KafkaKind,
        typer.Option(
            help="Broker to start. Tansu is small and keeps the log in memory. Apache Kafka works with "
            "every client; it needs Java 17, and Maven the first time."
        ),
    ] = KafkaKind.TANSU,
    port_kafka: Annotated[
        int | None, typer.Option(help="Port of the broker. Default: 9092, or any free port.")
    ] = None,
    port_redis: Annotated[
        int | None, typer.Option(help="Port of Redis. Default: 6379, or any free port.")
    ] = None,
    port_http: Annotated[
        int | None,
        typer.Option(help="Port of the page and the HTTP API. Default: 8080, or any free port."),
    ] = None,
    no_gateway: Annotated[
        bool, typer.Option("--no-gateway", help="Without the page and the HTTP API.")
    ] = False,
    demo: Annotated[
        bool,
        typer.Option(
            "--demo",
            help="Load 9,066 films and 51,568 real likes, to play with on the page.",
        ),
    ] = False,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Keep likes and models in this directory. Default: keep nothing."
        ),
    ] = None,
    consumers: Annotated[int, typer.Option(min=1, help="Number of consumers.")] = 1,
    servers: Annotated[int, typer.Option(min=1, help="Number of servers.")] = 1,
    dask_workers: Annotated[
        int,
        typer.Option(min=0, help="Number of Dask workers that build models; 0: the indexer does."),
    ] = 0,
) -> None:
    """Run all services, and the servers they need, until Ctrl-C; serve the page.

    Starts a Kafka-compatible broker and Redis on this machine, unless the settings name them. Other
    commands find this deployment while it runs. `--data` keeps the likes in Redis, the models, and
    the log of Apache Kafka; the log of Tansu is always in memory.

    ```
    likewise up --demo
    likewise up --kafka apache
    likewise up --data ~/likes --consumers 2
    likewise --bootstrap-servers kafka:9092 --redis-url redis://redis up
    ```
    """
    from likewise.cli.children import Counts
    from likewise.cli.local_servers import local_servers
    from likewise.cli.supervision import Service, ServiceEndedError, run_services

    cli = command_line(context)
    load_films = _film_loader() if demo else None
    _check_counts(cli.given, consumers, servers)
    with (
        stop_on_signals() as stop,
        local_servers(
            cli,
            data=data,
            kafka=kafka,
            kafka_port=port_kafka,
            redis_port=port_redis,
            gateway=None if no_gateway else _gateway(cli, port_http),
            dask=dask_workers > 0,
        ) as local,
    ):
        tell = _teller(stop.set)
        _introduce(local, tell)
        settings = _with_defaults_of_up(local.settings, cli.origins, demo=demo)
        counts = Counts(consumers, servers, gateways=0 if no_gateway else 1)
        services = [
            Service(spec, tell) for spec in _specs(settings, counts, local.directory, dask_workers)
        ]
        parts: Sequence[Part] = services
        if load_films is not None:
            parts = _with_demo(settings, load_films, tell, services)
        try:
            run_services(
                parts,
                stop,
                on_ready=lambda: _say_ready(local, tell, demo=demo),
                check=lambda: _check_servers(local),
            )
        except ServiceEndedError as error:
            complain(str(error))
            raise typer.Exit(error.exit_code) from error
        tell("up", "stopped")


def _specs(
    settings: Settings, counts: Counts, directory: Path, dask_workers: int
) -> list[ServiceSpec]:
    from likewise.cli.children import service_specs

    specs = list(service_specs(settings, counts))
    if dask_workers:
        from likewise.cli.dask_children import dask_specs

        specs += dask_specs(settings, directory, dask_workers)
    return specs


def _check_counts(settings: Settings, consumers: int, servers: int) -> None:
    if max(consumers, servers) > settings.kafka.partitions:
        raise SettingsError(
            f"{max(consumers, servers)} processes can't share {settings.kafka.partitions} partitions "
            "(kafka.partitions); set LIKEWISE_KAFKA_PARTITIONS higher"
        )


def _gateway(cli: CommandLine, port: int | None) -> GatewaySettings:
    """Return where the gateway listens: the port given, else the one set, else 8080 or any free one."""
    from likewise.embedded import port_or_free

    given = cli.given.gateway
    if port is None and "gateway.port" not in cli.origins:
        port = port_or_free(given.port)
    return given if port is None else msgspec.structs.replace(given, port=port)


def _with_defaults_of_up(settings: Settings, given: Collection[str], *, demo: bool) -> Settings:
    """Return the settings with the hit rate measured, and what the demo shows, unless they are given."""
    if "consumer.quality_samples_per_s" not in given:
        consumer = msgspec.structs.replace(
            settings.consumer, quality_samples_per_s=_QUALITY_SAMPLES_PER_S
        )
        settings = msgspec.structs.replace(settings, consumer=consumer)
    if demo:
        from likewise.cli.demo.loading import with_demo

        settings = with_demo(settings, given)
    return settings


def _film_loader() -> Callable[[], FilmLikes]:
    """Return what loads the films, once it is known that the package is there."""
    from likewise.cli.demo.films import check_installed, load_film_likes

    check_installed()
    return load_film_likes


def _with_demo(
    settings: Settings,
    load: Callable[[], FilmLikes],
    tell: Callable[[str, str], None],
    services: Sequence[Service],
) -> list[Part]:
    """Return the services, with the indexer as a part of the loading: it builds when all is loaded."""
    from likewise.cli.demo.loading import DemoLoading

    (indexer,) = (service for service in services if service.name == "indexer")
    others = [service for service in services if service is not indexer]
    return [*others, DemoLoading(settings, load, tell, indexer)]


def _teller(on_broken_pipe: Callable[[], None]) -> Callable[[str, str], None]:
    """Return a function that prints a line of a service, after the service's name."""
    from rich.text import Text

    console = stdout()

    def tell(name: str, line: str) -> None:
        colour = _COLOURS[name.partition("-")[0]]
        try:
            text = Text.assemble((f"{name:<{_NAME_WIDTH}} ", colour), Text.from_ansi(line))
            console.print(text, soft_wrap=True)
        except (OSError, SystemExit):  # the reader of our output has gone (Rich then exits)
            on_broken_pipe()

    return tell


def _introduce(local: LocalServers, tell: Callable[[str, str], None]) -> None:
    for description in local.descriptions:
        tell("up", description)
    tell("up", f"models in {local.settings.model.store or local.settings.model.directory}")
    tell("up", "starting the services, which takes a few seconds")


def _say_ready(local: LocalServers, tell: Callable[[str, str], None], *, demo: bool) -> None:
    from likewise.cli.running import options_for, running_ups

    runs = running_ups()
    (this,) = (run for run in runs if run.pid == os.getpid())
    command = "likewise" if len(runs) == 1 else f"likewise {options_for(this)}"
    if this.gateway is None:
        tell("up", "ready. In another terminal:")
    else:
        tell("up", f"ready. Open {this.gateway}")
        tell("up", "Or, in another terminal:")
    for example in _DEMO_EXAMPLES if demo else _EXAMPLES:
        tell("up", f"    {command} {example}")
    for hint in local.hints:
        tell("up", f"    {hint}")
    tell("up", "Ctrl-C stops everything")


def _check_servers(local: LocalServers) -> None:
    for server in local.embedded:
        if not server.running:
            raise LikewiseError(f"{server.name} has ended; its log is {server.log_path}")
