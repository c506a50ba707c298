"""Reading files of likes in chunks, so that any size fits in memory."""

from __future__ import annotations

import re
import warnings
import zlib
from itertools import repeat
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from likewise.like_files.errors import LikeFileError
from likewise.like_files.rows import Row

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from pathlib import Path

CHUNK_ROWS = 50_000


class Columns(NamedTuple):
    """Which column holds what. All but user and item may be missing from a file."""

    user: str = "user_id"
    item: str = "item_id"
    timestamp: str = "timestamp"
    action: str = "action"
    split: str | None = None
    """Which part of an evaluation the row belongs to; None: not read."""


class Chunk(NamedTuple):
    """Rows that were read together, and the share of the file (0 to 1) that is read with them."""

    rows: list[Row]
    share_read: float


def read_rows(path: Path, columns: Columns, *, chunk_rows: int = CHUNK_ROWS) -> Iterator[Chunk]:
    """Yield the file's rows in order, about `chunk_rows` at a time; blank lines are left out.

    `.parquet` is Parquet, everything else CSV; `.gz`, `.bz2`, `.xz` and `.zst` are unpacked.
    Lines with too many fields come as rows with a `fault`, at the end of their chunk.

    Raises:
        LikeFileError: the file can't be read, or a column is missing.
    """
    read = _read_parquet if path.suffix == ".parquet" else _read_csv
    try:
        yield from read(path, columns, chunk_rows)
    except (OSError, EOFError, ValueError, zlib.error, pa.ArrowException) as error:
        # ValueError is what pandas' own errors are: no header, an unclosed quote.
        reason = getattr(error, "strerror", None) or str(error).strip()
        raise LikeFileError(f"{path} can't be read: {reason}") from error


def _read_csv(path: Path, columns: Columns, chunk_rows: int) -> Iterator[Chunk]:
    size = path.stat().st_size
    skipped: list[int] = []
    with path.open("rb") as raw, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", pd.errors.ParserWarning)
        frames = pd.read_csv(
            raw,
            compression=_compression(path),
            chunksize=chunk_rows,
            dtype=object,  # ids stay the text they are: 007, 12345678901234567890
            keep_default_na=False,  # NA is somebody's id
            na_values=["", "NaN", "nan"],
            index_col=False,
            skip_blank_lines=False,  # they count as lines
            on_bad_lines="warn",
            encoding="utf-8-sig",
            encoding_errors="surrogateescape",  # a bad byte spoils its row, not the file
        )
        for frame in frames:
            faults = [fault for warning in caught for fault in _faults(str(warning.message))]
            caught.clear()
            skipped += [fault.line for fault in faults]
            rows = list(_csv_rows(frame, _present(path, columns, list(frame.columns)), skipped))
            yield Chunk([*rows, *faults], min(raw.tell() / size, 1.0))


def _csv_rows(frame: pd.DataFrame, present: dict[str, str], skipped: list[int]) -> Iterator[Row]:
    filled = frame.dropna(how="all")
    filled = filled.astype(object).where(filled.notna(), None)
    lines = []
    for index in filled.index:
        line = index + 2  # the header is line 1
        for skipped_line in skipped:
            line += skipped_line <= line
        lines.append(line)
    return _rows(lines, {name: filled[column] for name, column in present.items()})


def _read_parquet(path: Path, columns: Columns, chunk_rows: int) -> Iterator[Chunk]:
    with parquet.ParquetFile(path) as file:
        present = _present(path, columns, file.schema_arrow.names)
        total, read = file.metadata.num_rows, 0
        for batch in file.iter_batches(chunk_rows, columns=list(present.values())):
            fields = [batch.column(column).to_pylist() for column in present.values()]
            lines = range(read + 1, read + 1 + batch.num_rows)
            rows = list(_rows(lines, dict(zip(present, fields, strict=True))))
            read += len(rows)
            yield Chunk(rows, read / total)


def _rows(lines: Sequence[int], fields: dict[str, Iterable[object]]) -> Iterator[Row]:
    """Return the rows that these columns make; a field without a column is None."""
    columns = [fields.get(name, repeat(None)) for name in Row._fields[1:]]
    return map(Row, lines, *columns)


def _present(path: Path, columns: Columns, found: Sequence[str]) -> dict[str, str]:
    """Return the file's column for each field of `Row` that it has.

    A column that was named by the caller has to be there.
    """
    named = {name: column for name, column in columns._asdict().items() if column is not None}
    optional = {name for name in ("timestamp", "action", "split") if named.get(name) == name}
    missing = [name for name, column in named.items() if column not in found]
    for name in missing:
        if name not in optional:
            raise LikeFileError(
                f"{path} has no column {named[name]!r}; it has {_listed(found)}. "
                f"Name the right one with --{name}-column"
            )
    return {name: column for name, column in named.items() if column in found}


def _listed(columns: Collection[str]) -> str:
    return ", ".join(repr(column) for column in columns)


def _compression(path: Path) -> Any:
    endings = {".gz": "gzip", ".bz2": "bz2", ".xz": "xz", ".zst": "zstd"}
    return endings.get(path.suffix)


def _faults(warning: str) -> Iterator[Row]:
    """Yield a row for each line that pandas says it left out."""
    for line, reason in re.findall(r"Skipping line (\d+): (.*)", warning):
        yield Row(int(line), fault=reason)
