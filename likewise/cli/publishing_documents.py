"""Publishing items, scenarios and experiments: the sink, and what commands report."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from likewise.cli.context import CommandLine
from likewise.cli.output import print_json, stdout
from likewise.messages.positions import Position
from likewise.records import TopicPartition

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from likewise.log.port import Broker, Sink

_CONFIRMATION_TIMEOUT_S = 30.0


@contextmanager
def catalogue_sink(cli: CommandLine, broker: Broker, *, linger_ms: int = 0) -> Iterator[Sink]:
    """Provide a sink for the length of a `with` block; creates the topics if the settings allow it."""
    if cli.settings.kafka.create_topics:
        broker.ensure_topics(cli.topics.document_specs())
    with closing(broker.sink(linger_ms=linger_ms)) as sink:
        yield sink


def publish_documents(
    cli: CommandLine,
    topic: str,
    documents: Sequence[tuple[str, bytes | None]],
    *,
    wait: bool,
    as_json: bool,
) -> None:
    """Publish documents by name, and print the position of each; None removes one.

    With `wait`, returns when they are in Redis.

    Raises:
        LikewiseError: they could not be published, or nobody applies them.
    """
    positions = published(cli, topic, documents, wait=wait)
    if as_json:
        print_json(
            [
                {"name": name, "removed": value is None, "position": str(position)}
                for (name, value), position in zip(documents, positions, strict=True)
            ]
        )
        return
    for position in positions:
        stdout().print(str(position))


def published(
    cli: CommandLine, topic: str, documents: Sequence[tuple[str, bytes | None]], *, wait: bool
) -> list[Position]:
    """Publish documents by name, and return the position of each; see `publish_documents`."""
    with cli.broker() as broker, catalogue_sink(cli, broker) as sink:
        deliveries = [sink.send(topic, value, key=name.encode()) for name, value in documents]
        positions = [Position(*delivery.result(_CONFIRMATION_TIMEOUT_S)) for delivery in deliveries]
    if wait:
        _wait(cli, topic, positions)
    return positions


def _wait(cli: CommandLine, topic: str, positions: Sequence[Position]) -> None:
    from likewise.operations.applied import wait_until_applied

    ends: dict[TopicPartition, int] = {}
    for position in positions:
        partition = TopicPartition(topic, position.partition)
        ends[partition] = max(ends.get(partition, 0), position.offset + 1)
    with cli.store() as store:
        wait_until_applied(store, ends)
