"""The services of a deployment on this machine as child processes: their commands and environments."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from likewise.cli.supervision import ServiceSpec
from likewise.embedded import free_port
from likewise.settings.environment import CONFIG_VARIABLE, ENV_PREFIX
from likewise.settings.loader import environment_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from likewise.settings import Settings


class Counts(NamedTuple):
    """How many processes of each service run."""

    consumers: int
    servers: int
    gateways: int


def service_specs(settings: Settings, counts: Counts) -> Iterator[ServiceSpec]:
    """Yield the specification of each process, with a free port for its monitoring."""
    kinds = {
        "consumer": ("consume", counts.consumers),
        "indexer": ("index", 1),
        "server": ("serve", counts.servers),
        "gateway": ("gateway", counts.gateways),
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
