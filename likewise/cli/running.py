"""Which run of `likewise up` a command means, and the settings that lead to it.

Each run leaves a record in its private directory. A command that is not told where Kafka and Redis
are takes them from the record of the only active run.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from likewise.cli.private_directory import files_of_active_runs
from likewise.errors import SettingsError
from likewise.settings import Secret, Settings
from likewise.settings.loader import setting_names

if TYPE_CHECKING:
    from collections.abc import Collection

    from likewise.settings.gateway import GatewaySettings

_RECORD = "deployment.json"
_LOOPBACK = {"127.0.0.1": "localhost", "::1": "localhost", "[::1]": "localhost"}
_THIS_MACHINE = frozenset({"127.0.0.1", "::1", "0.0.0.0", "::"})  # noqa: S104 - nothing listens here
_REDIS_PORT = 6379
_PLACES = {
    "kafka.bootstrap_servers": "--bootstrap-servers",
    "redis.url": "--redis-url",
    "model.directory": "--models",
}
"""The settings that say where a deployment is, and the options that set them."""
_TABLES = ("kafka", "redis")
_GROUPS = ("consumer.group", "serving.group")
_CLUSTER = tuple(
    f"indexer.{name}"
    for name in ("engine", "dask_scheduler", "dask_dashboard", "dask_shards", "dask_directory")
)
_EMBEDDED_PASSWORD = "redis.password"  # noqa: S105 - the name of a setting


class RunningUp(msgspec.Struct, frozen=True):
    """One active run of `likewise up`."""

    pid: int
    directory: str
    """The working directory of the run."""
    settings: dict[str, str]
    """By dotted name: where it is, and all else about Kafka, Redis and Dask that is not a default."""
    gateway: str | None = None
    """The address of the page and the HTTP API."""

    def __str__(self) -> str:
        return f"`likewise up` (pid {self.pid}, started in {self.directory})"


def leave_record(
    private: Path, settings: Settings, *, redis_is_embedded: bool, has_gateway: bool = False
) -> None:
    """Let other commands of this user find this run. Call once, when its servers are known.

    Secrets stay out, except the generated password of an embedded Redis.
    """
    recorded = _recorded(settings, redis_is_embedded)
    gateway = address_of(settings.gateway) if has_gateway else None
    record = RunningUp(os.getpid(), str(Path.cwd()), recorded, gateway)
    descriptor = os.open(private / "new", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as file:
        file.write(msgspec.json.encode(record))
    (private / "new").rename(private / _RECORD)


def address_of(gateway: GatewaySettings) -> str:
    """Return the address to open in a browser on this machine."""
    host = "localhost" if gateway.host in _THIS_MACHINE else gateway.host
    return f"http://{f'[{host}]' if ':' in host else host}:{gateway.port}"


def running_ups() -> list[RunningUp]:
    """Return the active runs of this user."""
    found = []
    for path in files_of_active_runs(_RECORD):
        with suppress(OSError, msgspec.MsgspecError):  # it has just ended, or has another version
            found.append(msgspec.json.decode(path.read_bytes(), type=RunningUp))
    return found


def deployment_meant(given: Settings, explicit: Collection[str]) -> RunningUp | None:
    """Return the active run that a command means; None if it means none.

    `explicit` has the dotted names of the settings in `given` that are not defaults. A run whose
    Kafka or Redis is not the explicit one is not meant.

    Raises:
        SettingsError: several runs are active, and the explicit settings do not choose one.
    """
    meant = [run for run in running_ups() if _agrees(run, given, explicit)]
    if len(meant) < 2:
        return meant[0] if meant else None
    if _PLACES.keys() <= set(explicit):
        return None
    choices = "\n".join(f"  likewise {options_for(run)} …   # {run}" for run in meant)
    raise SettingsError(f"{len(meant)} runs of `likewise up` are active; choose one:\n{choices}")


def options_for(run: RunningUp) -> str:
    """Return the global options that choose this run."""
    return " ".join(f"{option} {quote(run.settings[name])}" for name, option in _PLACES.items())


def adopted_settings(run: RunningUp, given: Settings, explicit: Collection[str]) -> dict[str, str]:
    """Return, by dotted name, what the run's record adds to the explicit settings."""
    adopted = {name: value for name, value in run.settings.items() if name not in explicit}
    if "@" in given.redis.url:
        adopted.pop(_EMBEDDED_PASSWORD, None)
    return adopted


def _recorded(settings: Settings, redis_is_embedded: bool) -> dict[str, str]:
    recorded = {}
    for table, name in setting_names():
        dotted, value = f"{table}.{name}", getattr(getattr(settings, table), name)
        is_default = value == getattr(getattr(Settings(), table), name)
        if dotted in _PLACES:
            recorded[dotted] = str(value.absolute() if isinstance(value, Path) else value)
        elif dotted == _EMBEDDED_PASSWORD and redis_is_embedded:
            recorded[dotted] = value.reveal()
        elif is_default or isinstance(value, Secret):
            continue
        elif table in _TABLES or dotted in (*_GROUPS, *_CLUSTER):
            recorded[dotted] = str(value)
    return recorded


def _agrees(run: RunningUp, given: Settings, explicit: Collection[str]) -> bool:
    kafka, redis = run.settings["kafka.bootstrap_servers"], run.settings["redis.url"]
    return (
        "kafka.bootstrap_servers" not in explicit
        or _brokers(kafka) == _brokers(given.kafka.bootstrap_servers)
    ) and ("redis.url" not in explicit or _redis(redis) == _redis(given.redis.url))


def _brokers(servers: str) -> set[str]:
    """Return the brokers' addresses, with one name for this machine."""
    hosts_and_ports = (server.strip().rpartition(":") for server in servers.split(","))
    return {f"{_LOOPBACK.get(host, host)}:{port}" for host, _, port in hosts_and_ports}


def _redis(url: str) -> tuple[str, str | None, int, str]:
    """Return scheme, host, port and database, with one name for this machine."""
    parts = urlsplit(url)
    try:
        port = parts.port or _REDIS_PORT
    except ValueError:  # not a URL: connecting to it reports that
        return url, None, 0, ""
    host = parts.hostname or ""
    return parts.scheme, _LOOPBACK.get(host, host), port, parts.path.strip("/") or "0"
