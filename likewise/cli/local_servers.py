"""The servers of `likewise up`: those that the settings name, or embedded ones."""

from __future__ import annotations

from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from shlex import quote
from typing import TYPE_CHECKING

import msgspec

from likewise.cli.kafka_kind import KafkaKind
from likewise.cli.output import stderr
from likewise.cli.private_directory import private_directory
from likewise.cli.running import leave_record
from likewise.errors import SettingsError
from likewise.log.topics import Topics
from likewise.settings import Secret
from likewise.store.port import Advance, Changes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from likewise.cli.context import CommandLine
    from likewise.embedded import ApacheKafka, EmbeddedBroker, ServerProcess
    from likewise.settings import Settings
    from likewise.settings.gateway import GatewaySettings

KAFKA_PORT = 9092
REDIS_PORT = 6379


@dataclass
class LocalServers:
    """The servers that were started, and the settings for them."""

    settings: Settings
    directory: Path
    embedded: list[ServerProcess] = field(default_factory=list)
    descriptions: list[str] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)
    """Commands of other tools that connect to the servers."""


@contextmanager
def local_servers(
    cli: CommandLine,
    *,
    data: Path | None,
    kafka: KafkaKind = KafkaKind.TANSU,
    kafka_port: int | None,
    redis_port: int | None,
    gateway: GatewaySettings | None = None,
    dask: bool = False,
) -> Iterator[LocalServers]:
    """Run a broker and Redis for the length of a `with` block, unless the settings name them.

    Without a port, each takes its usual port, or any free one. A `gateway` is where the page will be, which
    the record of the run names. With `dask` the settings are those of a cluster on this machine. Files are in `data`, or in a private
    directory that is removed afterwards.

    Raises:
        EmbeddedServerError: a server did not start.
        MissingExtraError: the extra `embedded` is not installed, or Java or Maven for Apache Kafka.
        SettingsError: Apache Kafka was asked for, and the settings name a broker.
    """
    from likewise.embedded import TIMINGS, EmbeddedRedis, port_or_free

    _check_kafka(kafka, cli)
    with ExitStack() as stack:
        private = stack.enter_context(private_directory())
        directory = data or private
        given = msgspec.structs.replace(cli.given, gateway=gateway or cli.given.gateway)
        servers = LocalServers(given, directory.absolute())
        if "redis.url" not in cli.origins:
            redis = EmbeddedRedis(
                servers.directory / "redis", port=redis_port or port_or_free(REDIS_PORT)
            )
            stack.enter_context(redis)
            servers.descriptions.append(f"{redis.description} on {redis.address}")
            servers.hints.append(
                f'REDISCLI_AUTH="$(cat {quote(str(redis.password_path))})" redis-cli -p {redis.port}'
            )
            servers.embedded.append(redis)
            _set(servers, "redis", url=redis.address, password=Secret(redis.password))
        if "kafka.bootstrap_servers" not in cli.origins:
            broker = _broker(kafka, servers.directory, kafka_port or port_or_free(KAFKA_PORT))
            stack.enter_context(broker)
            where = broker.bootstrap_servers
            servers.descriptions.append(f"{broker.description} on {where}")
            servers.embedded.append(broker)
            _set(servers, "kafka", bootstrap_servers=where)
            if kafka is KafkaKind.TANSU:
                chosen = {name.removeprefix("kafka.") for name in cli.origins}
                _set(servers, "kafka", **{name: TIMINGS[name] for name in TIMINGS.keys() - chosen})
                _forget_positions(servers.settings)
        if "model.directory" not in cli.origins:
            _set(servers, "model", directory=servers.directory / "models")
        if dask:
            from likewise.cli.dask_children import with_dask

            servers.settings = with_dask(servers.settings, servers.directory, cli.origins)
        own_redis, page = "redis.url" not in cli.origins, gateway is not None
        leave_record(private, servers.settings, redis_is_embedded=own_redis, has_gateway=page)
        yield servers


def _check_kafka(kafka: KafkaKind, cli: CommandLine) -> None:
    if kafka is KafkaKind.APACHE and (origin := cli.origins.get("kafka.bootstrap_servers")):
        raise SettingsError(
            f"--kafka apache starts a broker, but kafka.bootstrap_servers names one ({origin}); "
            "leave one of them out"
        )


def _broker(kind: KafkaKind, directory: Path, port: int) -> EmbeddedBroker | ApacheKafka:
    from likewise.embedded import ApacheKafka, EmbeddedBroker

    if kind is KafkaKind.APACHE:
        return ApacheKafka(directory / "apache-kafka", port=port, say=_say)
    return EmbeddedBroker(directory / "kafka", port=port)


def _say(sentence: str) -> None:
    stderr().print(sentence, markup=False)


def _set(servers: LocalServers, table: str, **values: object) -> None:
    changed = msgspec.structs.replace(getattr(servers.settings, table), **values)
    servers.settings = msgspec.structs.replace(servers.settings, **{table: changed})


def _forget_positions(settings: Settings) -> None:
    """Reset the applied positions to 0: Tansu starts with an empty log.

    A position of the last run would hide the first events of this run.
    """
    from likewise.log.kafka import KafkaBroker
    from likewise.store.redis import RedisStore

    topics = Topics(settings.kafka.topic_prefix)
    with (
        closing(KafkaBroker(settings.kafka)) as broker,
        closing(RedisStore(settings.redis)) as store,
    ):
        broker.ensure_topics(topics.specs(settings.kafka.partitions))
        partitions = broker.partitions(topics.likes)
        left = zip(partitions, store.positions(partitions), strict=True)
        advances = {partition: Advance(position, 0) for partition, position in left if position}
        if advances:
            store.apply(Changes(), advances)
