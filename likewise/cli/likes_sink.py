"""Sinks for the commands that publish to the likes topic."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from likewise.cli.context import CommandLine
    from likewise.log.port import Broker, Sink


@contextmanager
def likes_sink(cli: CommandLine, *, linger_ms: int = 0) -> Iterator[Sink]:
    """Provide a sink for the length of a `with` block; creates the topics if the settings allow it."""
    with cli.broker() as broker, sink_of(cli, broker, linger_ms=linger_ms) as sink:
        yield sink


@contextmanager
def sink_of(cli: CommandLine, broker: Broker, *, linger_ms: int = 0) -> Iterator[Sink]:
    """Provide a sink as `likes_sink` does, on the caller's broker."""
    if cli.settings.kafka.create_topics:
        broker.ensure_topics(cli.topics.core_specs(cli.settings.kafka.partitions))
    with closing(broker.sink(linger_ms=linger_ms)) as sink:
        yield sink
