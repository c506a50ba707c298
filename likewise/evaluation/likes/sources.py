"""Where the likes of an evaluation come from: a file, the store, or the likes topic."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from indexer.interactions import UserLikes, interactions_of
from indexer.weighing import every_user
from likewise.errors import InvalidInputError
from likewise.evaluation.errors import EvaluationError
from likewise.evaluation.likes.table import LIKE, LikeTable, Split, with_target
from likewise.evaluation.likes.until import EventCollector, check_offsets
from likewise.log.ranges import read_between
from likewise.messages.event_decoding import decode_event
from likewise.messages.event_times import event_time_ms
from likewise.messages.positions import Position

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from indexer.progress import Progress
    from likewise.evaluation.likes.until import Until
    from likewise.log.port import Broker
    from likewise.messages.ids import SignalKind
    from likewise.operations.files.importing import RowCounts
    from likewise.operations.files.options import ReadOptions
    from likewise.operations.files.reading import Chunk
    from likewise.records import TopicPartition
    from likewise.store.port import LikeStore

_SPLITS = {
    "train": Split.TRAIN,
    "training": Split.TRAIN,
    "valid": Split.VALID,
    "validation": Split.VALID,
    "val": Split.VALID,
    "dev": Split.VALID,
    "test": Split.TEST,
}


class Read(NamedTuple):
    """The likes of a source, the number of bad rows or records, and the reason of the first."""

    likes: LikeTable
    bad: int = 0
    first_bad: str | None = None
    rows: RowCounts | None = None
    """The outcome of the rows of a file."""


def likes_of_file(
    chunks: Iterable[Chunk],
    progress: Progress,
    until: Until | None = None,
    options: ReadOptions | None = None,
    target: SignalKind | None = None,
) -> Read:
    """Return the likes of a file's rows, and other signals; bad rows are skipped and counted.

    `until`, a time, splits the rows; rows without a time are then bad.

    Raises:
        LikeFileError: the file can't be read, or a column is missing.
        EvaluationError: there are no likes on one side of `until`, or no signals of the target kind.
    """
    from likewise.operations.files.importing import BadRow, RowCounts, events_of
    from likewise.operations.files.options import ReadOptions

    options = options or ReadOptions(split="split", signal_kinds=None)
    collector, counts = EventCollector(until), RowCounts()
    for chunk in chunks:
        for row, (event, time_ms, _) in events_of(chunk.rows, counts, options):
            try:
                collector.add(event, time_ms, split=None if until else _split(row.split))
            except InvalidInputError as error:
                counts.refuse(BadRow(row.line, error.message, row.part), error.code)
        progress.advance(len(chunk.rows))
    first_bad = str(counts.first_bad[0]) if counts.first_bad else None
    return Read(collector.table(target), counts.bad, first_bad, counts)


def likes_of_store(
    store: LikeStore, *, chunk: int, progress: Progress, target: SignalKind | None = None
) -> Read:
    """Return what every user likes now, and all other signals; the store has no times.

    Raises:
        EvaluationError: there are no signals of the target kind.
        TransientError: the store can't be reached.
    """
    kinds = sorted(store.kinds())
    read: dict[SignalKind, list[UserLikes]] = {kind: [] for kind in (LIKE, *kinds)}
    for users in every_user(store, kinds, chunk):
        read[LIKE].append(UserLikes(users, store.liked_items(users)))
        signals = store.signals(users, kinds) if kinds else ()
        for kind in kinds:
            read[kind].append(UserLikes(users, [theirs.get(kind, ()) for theirs in signals]))
        progress.advance(len(users))
    tables = {
        kind: LikeTable(interactions_of(chunks), None, None, kind=kind)
        for kind, chunks in read.items()
    }
    return Read(with_target(tables, target))


def likes_of_topic(
    broker: Broker,
    topic: str,
    progress: Progress,
    until: Until | None = None,
    target: SignalKind | None = None,
) -> Read:
    """Return what every user likes at the end of the log, and all other signals, with the events' times.

    `until` splits the likes; see `EventCollector`.

    Raises:
        EvaluationError: the topic does not exist, has no likes on one side of `until`, or no signals of
            the target kind.
        TransientError: the broker can't be reached.
    """
    partitions = broker.partitions(topic)
    if not partitions:
        raise EvaluationError(f"there is no topic {topic}")
    start, end = broker.beginning_offsets(partitions), broker.end_offsets(partitions)
    if until is not None:
        check_offsets(until, _by_number(start), _by_number(end))
    progress.expect(sum(end.values()) - sum(start.values()))
    collector, bad, first_bad = EventCollector(until), 0, None
    for records in read_between(broker, start, end):
        for record in records:
            try:
                position = Position(record.partition, record.offset)
                collector.add(decode_event(record), event_time_ms(record), position=position)
            except InvalidInputError as error:
                bad += 1
                place = f"{record.topic}/{record.partition} at {record.offset}"
                first_bad = first_bad or f"{place}: {error.message}"
        progress.advance(len(records))
    return Read(collector.table(target), bad, first_bad)


def _by_number(offsets: Mapping[TopicPartition, int]) -> dict[int, int]:
    return {partition.partition: offset for partition, offset in offsets.items()}


def _split(label: object) -> Split | None:
    if label is None:
        return None
    split = _SPLITS.get(str(label).strip().lower())
    if split is None:
        raise InvalidInputError(
            "unknown_split", f"`split` is {str(label)[:64]!r}, not train, valid or test"
        )
    return split
