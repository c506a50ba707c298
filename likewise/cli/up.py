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
from likewise.settings.environment import CONFIG_VARIABLE, ENV_PREFIX
from likewise.settings.loader import environment_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from likewise.cli.local_servers import LocalServers
    from likewise.cli.supervision import ServiceSpec
    from likewise.settings import Settings

_COLOURS = {"consumer": "cyan", "indexer": "yellow", "server": "green", "up": "bold"}
_NAME_WIDTH = 10
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
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Keep likes and models in this directory. Default: keep nothing."
        ),
    ] = None,
    consumers: Annotated[int, typer.Option(min=1, help="Number of consumers.")] = 1,
    servers: Annotated[int, typer.Option(min=1, help="Number of servers.")] = 1,
) -> None:
    """Run all services, and the servers they need, until Ctrl-C.

    Starts a Kafka-compatible broker and Redis on this machine, unless the settings name them. Other
    commands find this deployment while it runs. `--data` keeps the likes in Redis, the models, and
    the log of Apache Kafka; the log of Tansu is always in memory.

    ```
    likewise up
    likewise up --kafka apache
    likewise up --data ~/likes --consumers 2
    likewise --bootstrap-servers kafka:9092 --redis-url redis://redis up
    ```
    """
    from likewise.cli.local_servers import local_servers
    from likewise.cli.supervision import Service, ServiceEndedError, run_services

    cli = command_line(context)
    _check_counts(cli.given, consumers, servers)
    with (
        stop_on_signals() as stop,
        local_servers(
            cli, data=data, kafka=kafka, kafka_port=port_kafka, redis_port=port_redis
        ) as local,
    ):
        tell = _teller(stop.set)
        _introduce(local, tell)
        if "consumer.quality_samples_per_s" not in cli.origins:
            local.settings = _with_quality_measured(local.settings)
        services = [Service(spec, tell) for spec in _services(local.settings, consumers, servers)]
        try:
            run_services(
                services,
                stop,
                on_ready=lambda: _say_ready(local, tell),
                check=lambda: _check_servers(local),
            )
        except ServiceEndedError as error:
            complain(str(error))
            raise typer.Exit(error.exit_code) from error
        tell("up", "stopped")


def _check_counts(settings: Settings, consumers: int, servers: int) -> None:
    if max(consumers, servers) > settings.kafka.partitions:
        raise SettingsError(
            f"{max(consumers, servers)} processes can't share {settings.kafka.partitions} partitions "
            "(kafka.partitions); set LIKEWISE_KAFKA_PARTITIONS higher"
        )


def _with_quality_measured(settings: Settings) -> Settings:
    consumer = msgspec.structs.replace(
        settings.consumer, quality_samples_per_s=_QUALITY_SAMPLES_PER_S
    )
    return msgspec.structs.replace(settings, consumer=consumer)


def _services(settings: Settings, consumers: int, servers: int) -> Iterator[ServiceSpec]:
    from likewise.cli.supervision import ServiceSpec
    from likewise.embedded import free_port

    kinds = {
        "consumer": ("consume", consumers),
        "indexer": ("index", 1),
        "server": ("serve", servers),
    }
    for kind, (command, count) in kinds.items():
        for number in range(1, count + 1):
            port = free_port()
            name = kind if count == 1 else f"{kind}-{number}"
            yield ServiceSpec(name, [command], child_environment(settings, port), port)


def child_environment(settings: Settings, monitoring_port: int) -> dict[str, str]:
    """Return the environment of a child: ours, with exactly these settings."""
    own = {
        "monitoring": msgspec.structs.replace(
            settings.monitoring, host="127.0.0.1", port=monitoring_port
        ),
        "model": msgspec.structs.replace(
            settings.model, directory=settings.model.directory.absolute()
        ),
    }
    if settings.logging.format == "auto":
        own["logging"] = msgspec.structs.replace(settings.logging, format="console")
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(ENV_PREFIX)
    }
    return (
        inherited
        | environment_of(msgspec.structs.replace(settings, **own))
        # Explicit even where they are defaults: the child must not look for another deployment.
        | {
            f"{ENV_PREFIX}KAFKA_BOOTSTRAP_SERVERS": settings.kafka.bootstrap_servers,
            f"{ENV_PREFIX}REDIS_URL": settings.redis.url,
            f"{ENV_PREFIX}MODEL_DIRECTORY": str(settings.model.directory.absolute()),
        }
        # A likewise.toml in this directory is part of these settings; it must not override the rest.
        | {CONFIG_VARIABLE: os.devnull, "PYTHONUNBUFFERED": "1"}
    )


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
    tell("up", f"models in {local.settings.model.directory}")
    tell("up", "starting the services, which takes a few seconds")


def _say_ready(local: LocalServers, tell: Callable[[str, str], None]) -> None:
    from likewise.cli.running import options_for, running_ups

    runs = running_ups()
    (this,) = (run for run in runs if run.pid == os.getpid())
    command = "likewise" if len(runs) == 1 else f"likewise {options_for(this)}"
    tell("up", "ready. In another terminal:")
    for example in ("like u1 i1", "like u2 i1", "like u2 i2", "recommend u1", "status"):
        tell("up", f"    {command} {example}")
    for hint in local.hints:
        tell("up", f"    {hint}")
    tell("up", "Ctrl-C stops everything")


def _check_servers(local: LocalServers) -> None:
    for server in local.embedded:
        if not server.running:
            raise LikewiseError(f"{server.name} has ended; its log is {server.log_path}")
