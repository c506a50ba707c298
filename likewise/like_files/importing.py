"""Importing: the rows of a file become published events, and what was wrong with some is kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from likewise.errors import InvalidInputError
from likewise.like_files.rows import event_of_row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from likewise.events import Event
    from likewise.like_files.reading import Chunk
    from likewise.like_files.rows import Row
    from likewise.publishing import BulkPublisher

    Progress = Callable[[int, float], None]

_SHOWN_BAD_ROWS = 5


class BadRow(NamedTuple):
    """A row that stands for no event, and why."""

    line: int
    reason: str


@dataclass(slots=True)
class RowCounts:
    """How many rows were read, how many of them were bad, and the first few of those."""

    rows: int = 0
    bad: int = 0
    first_bad: list[BadRow] = field(default_factory=list)


def publish_rows(
    chunks: Iterable[Chunk], publisher: BulkPublisher, counts: RowCounts, on_progress: Progress
) -> None:
    """Publish the rows in their order; bad ones are counted and left out.

    `counts` is filled as the work goes. `on_progress` is told the rows read and the share of the
    file (0 to 1). The caller finishes the publisher.
    """
    for chunk in chunks:
        for event, timestamp_ms in _events(chunk.rows, counts):
            publisher.publish(event, timestamp_ms=timestamp_ms)
        on_progress(counts.rows, chunk.share_read)


def check_rows(chunks: Iterable[Chunk], on_progress: Progress) -> RowCounts:
    """Return what `publish_rows` would find, without publishing anything."""
    counts = RowCounts()
    for chunk in chunks:
        for _ in _events(chunk.rows, counts):
            pass
        on_progress(counts.rows, chunk.share_read)
    return counts


def _events(rows: Iterable[Row], counts: RowCounts) -> Iterator[tuple[Event, int | None]]:
    for row in rows:
        counts.rows += 1
        try:
            yield event_of_row(row)
        except InvalidInputError as error:
            counts.bad += 1
            if len(counts.first_bad) < _SHOWN_BAD_ROWS:
                counts.first_bad.append(BadRow(row.line, error.message))
