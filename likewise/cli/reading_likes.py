"""Reads the likes that a command examines: from a file, from Redis or from the likes topic."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likewise.cli.output import complain
from likewise.cli.reading_options import check_source
from likewise.cli.reading_report import LayoutTeller, complain_of_rows, refusal
from likewise.messages.ids import SignalKind

if TYPE_CHECKING:
    from indexer.progress import Progress
    from likewise.cli.context import CommandLine
    from likewise.evaluation.likes.sources import Read
    from likewise.evaluation.likes.until import Until
    from likewise.operations.files.options import ReadOptions


def read_likes(
    cli: CommandLine,
    file: str | None,
    reading: ReadOptions,
    progress: Progress,
    until: Until | None = None,
    target: str | None = None,
    *,
    from_redis: bool = False,
    strict: bool = False,
) -> tuple[Read, str]:
    """Return the likes, and the name of their source: the file, or else Redis or the topic.

    Raises:
        LikeFileError: the file cannot be read, or `strict` refuses it.
        EvaluationError: there are no such likes.
        TransientError: a server cannot be reached.
    """
    from likewise.evaluation.likes import sources
    from likewise.operations.files.errors import LikeFileError
    from likewise.operations.files.reading import read_rows

    kind = None if target is None else SignalKind(target)
    if file is not None:
        check_source(file)
        teller = LayoutTeller()
        chunks = read_rows(file, reading, on_layout=teller)
        read = sources.likes_of_file(chunks, progress, until, reading, kind)
        if strict and read.rows and (reason := refusal(file, read.rows, teller.warnings)):
            raise LikeFileError(reason)
        return read, file
    if from_redis:
        chunk = cli.given.indexer.scan_chunk
        with cli.store() as store:
            read = sources.likes_of_store(store, chunk=chunk, progress=progress, target=kind)
        return read, "Redis"
    topic = cli.topics.likes
    with cli.broker() as broker:
        return sources.likes_of_topic(broker, topic, progress, until, kind), f"topic {topic}"


def complain_of(read: Read) -> None:
    """Report on standard error what could not be read."""
    if read.rows is not None:
        complain_of_rows(read.rows)
    elif read.bad:
        complain(f"{read.bad:,} bad events were skipped, the first: {read.first_bad}")
