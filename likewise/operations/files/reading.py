"""Reads files of likes, written by any tool, in chunks. Memory does not grow with the file's size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from likewise.operations.files import delimited, json_lines, parquet_rows
from likewise.operations.files.opening import open_parts
from likewise.operations.files.options import ReadOptions
from likewise.operations.files.parts import CHUNK_ROWS, chunks_of, head_of, is_parquet, reading
from likewise.operations.files.rows import Row, UnreadTime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from likewise.operations.files.layout import Layout
    from likewise.operations.files.opening import FilePart

    OnLayout = Callable[[str, Layout], None]

_UNITS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
_BY_ROW = frozenset({"day-first", "month-first"})
_PLAIN = ReadOptions()


class Chunk(NamedTuple):
    """Rows that were read together, and the share (0 to 1) of everything read so far."""

    rows: list[Row]
    share_read: float


def read_rows(
    source: Path | str,
    options: ReadOptions = _PLAIN,
    *,
    on_layout: OnLayout | None = None,
    chunk_rows: int = CHUNK_ROWS,
) -> Iterator[Chunk]:
    """Yield the rows in order, at most `chunk_rows` at a time; blank lines are left out.

    The source is a file, a directory of files, a ZIP archive, or `-` for standard input. Format,
    compression, encoding, delimiter, header and columns are detected unless `options` give them, and
    passed to `on_layout` with the name of each part. A malformed line gives a row with a `fault`.

    Raises:
        LikeFileError: the source can't be read, or a column is missing.
    """
    with reading(source):
        for part in open_parts(str(source), options.member):
            several = part.name != str(source)
            for rows in chunks_of(_rows_of(part, options, on_layout), part.stream, chunk_rows):
                timed = _with_times(rows, options.timestamp_format)
                named = [row._replace(part=part.name) for row in timed] if several else timed
                yield Chunk(named, part.share_read())


def _rows_of(part: FilePart, options: ReadOptions, on_layout: OnLayout | None) -> Iterator[Row]:
    if is_parquet(part):
        yield from _rows_of_parquet(part, options, on_layout)
        return
    encoding, head = head_of(part, options.encoding)
    tell = on_layout or _tell_nobody
    if json_lines.is_json(head, part.name) and options.delimiter is None:
        choice, layout = json_lines.look_at(head, options, part.constants, part.name)
        tell(part.name, layout)
        yield from json_lines.rows_of(part.stream, encoding, options, choice, part.constants)
    else:
        dialect, choice, layout = delimited.look_at(head, options, part.constants, part.name)
        tell(part.name, layout)
        yield from delimited.rows_of(part.stream, encoding, dialect, choice, part.constants)


def _rows_of_parquet(
    part: FilePart, options: ReadOptions, on_layout: OnLayout | None
) -> Iterator[Row]:
    with part.stream.spooled() as raw, parquet_rows.opened(raw) as file:
        choice, layout = parquet_rows.look_at(file, options, part.constants, part.name)
        (on_layout or _tell_nobody)(part.name, layout)
        for rows in parquet_rows.rows_of(file, choice, part.constants):
            yield from rows


def _tell_nobody(_name: str, _layout: Layout) -> None:
    pass


def _with_times(rows: list[Row], written: str | None) -> list[Row]:
    """Return the rows with their times parsed in the format that the caller names."""
    if written is None or written in _BY_ROW:
        return rows
    texts = [row.timestamp for row in rows]
    times: Any
    if written in _UNITS:
        numbers = pd.to_numeric(pd.Series(texts, dtype=object), errors="coerce")
        times = pd.to_datetime(numbers * _UNITS[written], unit="ns", utc=True, errors="coerce")
    else:
        stripped = [text.strip() if isinstance(text, str) else text for text in texts]
        times = pd.to_datetime(
            pd.Series(stripped, dtype=object), format=written, utc=True, errors="coerce"
        )
    return [
        row if row.timestamp is None else row._replace(timestamp=_read_or_not(row.timestamp, time))
        for row, time in zip(rows, times, strict=True)
    ]


def _read_or_not(value: object, time: Any) -> object:
    return UnreadTime(value) if pd.isna(time) else time.to_pydatetime()
