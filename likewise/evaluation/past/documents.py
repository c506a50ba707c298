"""The catalogue and the scenarios of a moment, as far as their compacted topics still have them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from consumers.batches import by_partition
from consumers.documents import split
from likewise.evaluation.past.moments import read_until
from likewise.log.ranges import read_between
from likewise.store.port import Changes

if TYPE_CHECKING:
    from indexer.progress import Progress
    from likewise.evaluation.past.moments import Moment
    from likewise.evaluation.past.users import Past
    from likewise.log.port import Broker
    from likewise.log.topics import Topics


def replay_documents(
    broker: Broker, topics: Topics, topic: str, moment: Moment, past: Past, progress: Progress
) -> None:
    """Apply the documents of a topic up to the moment to the store of the past.

    Notes how many documents may have had another form then, because compaction has removed it.

    Raises:
        TransientError: the broker cannot be reached.
    """
    partitions = broker.partitions(topic)
    progress.step(f"reading {topic}")
    moment = type(moment)(moment.time_ms)  # a position is one of the likes topic
    end = broker.beginning_offsets(partitions)
    known: set[str] = set()
    for records in read_until(broker, partitions, moment, progress):
        _, documents = split(by_partition(records), topics)
        past.store.apply(Changes(items=documents.items, scenarios=documents.scenarios), {})
        known |= documents.items.keys() | documents.scenarios.keys()
        end |= {one: found[-1].offset + 1 for one, found in by_partition(records).items()}
    later: set[str] = set()
    for records in read_between(broker, end, broker.end_offsets(partitions)):
        _, documents = split(by_partition(records), topics)
        later |= documents.items.keys() | documents.scenarios.keys()
    if lost := later - known:
        past.missing.append(
            f"{len(lost):,} documents of topic {topic} have changed since, and the log has no earlier "
            "form of them: they are left out if they existed then"
        )
