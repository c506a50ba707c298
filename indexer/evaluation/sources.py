"""Where the likes of an evaluation come from: a file, the store, or the likes topic."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from indexer.evaluation.errors import EvaluationError
from indexer.evaluation.likes import LikeCollector, LikeTable, Part, Stamp
from indexer.snapshot import read_all
from likewise.errors import InvalidInputError
from likewise.events import decode_event
from likewise.log_reading import read_between

if TYPE_CHECKING:
    from collections.abc import Iterable

    from indexer.progress import Progress
    from likewise.like_files.reading import Chunk
    from likewise.store import LikeStore
    from likewise.streams import Broker

_PARTS = {
    "train": Part.TRAIN,
    "training": Part.TRAIN,
    "valid": Part.VALID,
    "validation": Part.VALID,
    "val": Part.VALID,
    "dev": Part.VALID,
    "test": Part.TEST,
}


class Read(NamedTuple):
    """The likes of a source, how many rows or records were bad, and why the first of them was."""

    likes: LikeTable
    bad: int = 0
    first_bad: str | None = None


def likes_of_file(chunks: Iterable[Chunk], progress: Progress) -> Read:
    """Return the likes of a file's rows; bad rows are left out and counted.

    Raises:
        LikeFileError: the file can't be read, or a column is missing.
    """
    from likewise.like_files.rows import event_of_row

    collector, bad, first_bad = LikeCollector(), 0, None
    for chunk in chunks:
        for row in chunk.rows:
            try:
                event, time_ms = event_of_row(row)
                collector.add(event, Stamp(time_ms, _part(row.split)))
            except InvalidInputError as error:
                bad += 1
                first_bad = first_bad or f"line {row.line}: {error.message}"
        progress.advance(len(chunk.rows))
    return Read(collector.table(), bad, first_bad)


def likes_of_store(store: LikeStore, *, chunk: int, progress: Progress) -> Read:
    """Return what every user likes now; the store knows no times.

    Raises:
        TransientError: the store is out of reach.
    """
    return Read(LikeTable(read_all(store, chunk=chunk, progress=progress), None, None))


def likes_of_topic(broker: Broker, topic: str, progress: Progress) -> Read:
    """Return what every user likes at the end of the log, each like at its record's time.

    Raises:
        EvaluationError: there is no such topic.
        TransientError: the broker is out of reach.
    """
    partitions = broker.partitions(topic)
    if not partitions:
        raise EvaluationError(f"there is no topic {topic}")
    start, end = broker.beginning_offsets(partitions), broker.end_offsets(partitions)
    progress.expect(sum(end.values()) - sum(start.values()))
    collector, bad, first_bad = LikeCollector(), 0, None
    for records in read_between(broker, start, end):
        for record in records:
            try:
                collector.add(decode_event(record), Stamp(record.timestamp))
            except InvalidInputError as error:
                bad += 1
                place = f"{record.topic}/{record.partition} at {record.offset}"
                first_bad = first_bad or f"{place}: {error.message}"
        progress.advance(len(records))
    return Read(collector.table(), bad, first_bad)


def _part(label: object) -> Part | None:
    if label is None:
        return None
    part = _PARTS.get(str(label).strip().lower())
    if part is None:
        raise InvalidInputError(
            "unknown_split", f"`split` is {str(label)[:64]!r}, none of train, valid and test"
        )
    return part
