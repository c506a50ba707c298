"""Publishes the rows of a file as events, and counts every row that is not published."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from likewise.errors import InvalidInputError
from likewise.operations.files.rows import SkippedRowError, event_of_row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from likewise.client.bulk import BulkPublisher
    from likewise.operations.files.options import ReadOptions
    from likewise.operations.files.reading import Chunk
    from likewise.operations.files.rows import Row, Taken
    from likewise.operations.files.taken_back import TakenBack

    OnProgress = Callable[[int, float], None]

_SHOWN_BAD_ROWS = 5
_KINDS_OF_SKIPS = 50
"""The most reasons counted separately. A wrong column, of names say, would give any number of them."""


class BadRow(NamedTuple):
    """A row that is not an event, or whose time is invalid, and why."""

    line: int
    reason: str
    part: str | None = None

    def __str__(self) -> str:
        return f"{self.part + ' ' if self.part else ''}line {self.line}: {self.reason}"


@dataclass(slots=True)
class RowCounts:
    """The outcome of the rows read."""

    rows: int = 0
    bad: int = 0
    first_bad: list[BadRow] = field(default_factory=list)
    bad_by_code: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)
    """Rows that the options exclude, by reason."""
    untimed: int = 0
    """Rows published without their time, because it is invalid."""
    first_untimed: BadRow | None = None
    shown_bad: int = _SHOWN_BAD_ROWS
    """The length of `first_bad` at most."""

    def refuse(self, row: BadRow, code: str) -> None:
        """Count a row that is left out, by the code of the reason."""
        self.bad += 1
        self.bad_by_code[code] = self.bad_by_code.get(code, 0) + 1
        if len(self.first_bad) < self.shown_bad:
            self.first_bad.append(row)

    def skip(self, reason: str) -> None:
        """Count a row that the options exclude."""
        if reason not in self.skipped and len(self.skipped) >= _KINDS_OF_SKIPS:
            reason = "other kinds"
        self.skipped[reason] = self.skipped.get(reason, 0) + 1


def events_of(
    rows: Iterable[Row], counts: RowCounts, options: ReadOptions
) -> Iterator[tuple[Row, Taken]]:
    """Yield the rows that are events, each with its event; count the others."""
    for row in rows:
        counts.rows += 1
        try:
            taken = event_of_row(row, options)
        except InvalidInputError as error:
            counts.refuse(BadRow(row.line, error.message, row.part), error.code)
        except SkippedRowError as skipped:
            counts.skip(str(skipped))
        else:
            if taken.time_fault is not None:
                counts.untimed += 1
                counts.first_untimed = counts.first_untimed or BadRow(
                    row.line, taken.time_fault, row.part
                )
            yield row, taken


def publish_rows(
    chunks: Iterable[Chunk],
    publisher: BulkPublisher,
    counts: RowCounts,
    on_progress: OnProgress,
    options: ReadOptions,
    taken_back: TakenBack | None = None,
) -> None:
    """Publish the rows in order, except bad, skipped and since taken back ones.

    Updates `counts` along the way. Calls `on_progress` with the number of rows read and the share of
    the file (0 to 1). The caller flushes the publisher.
    """
    for chunk in chunks:
        for _row, (event, time_ms, _) in events_of(chunk.rows, counts, options):
            if taken_back is not None and taken_back.holds(event, time_ms):
                counts.skip(TAKEN_BACK)
            else:
                publisher.publish(event, timestamp_ms=time_ms)
        on_progress(counts.rows, chunk.share_read)


TAKEN_BACK = "taken back later by unlike or forget_user"


def check_rows(
    chunks: Iterable[Chunk], on_progress: OnProgress, options: ReadOptions, show: int = 0
) -> tuple[RowCounts, list[Taken]]:
    """Return what `publish_rows` would find without publishing anything, and the first events."""
    counts, first = RowCounts(), list["Taken"]()
    for chunk in chunks:
        for _, taken in events_of(chunk.rows, counts, options):
            if len(first) < show:
                first.append(taken)
        on_progress(counts.rows, chunk.share_read)
    return counts, first
