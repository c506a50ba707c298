"""Records of the compacted topics: the newest document of each name replaces the one before."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from likewise.errors import InvalidInputError
from likewise.messages.dead_letters import DeadLetter
from likewise.messages.experiments import experiment_document
from likewise.messages.items import item_document
from likewise.messages.scenarios import scenario_document
from likewise.records import TopicPartition
from likewise.service.logs import get_logger

if TYPE_CHECKING:
    from consumers.batches import Batch
    from likewise.log.port import Broker
    from likewise.log.topics import Topics
    from likewise.messages.ids import ItemId
    from likewise.records import Record


class Documents(NamedTuple):
    """The decoded documents of a batch, as the store holds them; None removes one."""

    items: dict[ItemId, bytes | None]
    scenarios: dict[str, bytes | None]
    experiments: dict[str, bytes | None]
    dead_letters: list[DeadLetter]
    places: dict[tuple[str, str], tuple[TopicPartition, int]]
    """The partition and offset of each document, by `item`, `scenario` or `experiment` and its name."""

    @property
    def written(self) -> int:
        """How many documents the batch writes."""
        return len(self.items) + len(self.scenarios) + len(self.experiments)


def applied_topics(broker: Broker, topics: Topics) -> tuple[str, ...]:
    """Return the topics to read: `likes`, and those of `Topics.documents` that exist.

    Raises:
        TransientError: the broker cannot be reached.
    """
    missing = [name for name in topics.documents if not broker.partitions(name)]
    if missing:
        get_logger().warning(
            "optional topics do not exist; create them and restart the consumers to use them",
            topics=missing,
        )
    return (topics.likes, *(name for name in topics.documents if name not in missing))


def split(batch: Batch, topics: Topics) -> tuple[Batch, Documents]:
    """Return the records of the likes topic, and the decoded documents of the other topics."""
    documents = Documents({}, {}, {}, [], {})
    others = [partition for partition in batch if partition.topic != topics.likes]
    if not others:
        return batch, documents
    puts = {topics.items: _put_item, topics.scenarios: _put_scenario}
    for partition in others:
        put = puts.get(partition.topic, _put_experiment)
        for record in batch[partition]:
            try:
                put(documents, record)
            except InvalidInputError as reason:
                documents.dead_letters.append(DeadLetter.of(record, reason))
    events = {one: records for one, records in batch.items() if one.topic == topics.likes}
    return events, documents


def _put_item(documents: Documents, record: Record) -> None:
    item_id, stored = item_document(record)
    documents.items[item_id] = stored
    documents.places["item", item_id] = _place(record)


def _put_scenario(documents: Documents, record: Record) -> None:
    name, stored = scenario_document(record)
    documents.scenarios[name] = stored
    documents.places["scenario", name] = _place(record)


def _put_experiment(documents: Documents, record: Record) -> None:
    name, stored = experiment_document(record)
    documents.experiments[name] = stored
    documents.places["experiment", name] = _place(record)


def _place(record: Record) -> tuple[TopicPartition, int]:
    return TopicPartition(record.topic, record.partition), record.offset
