"""Writes files of likes, atomically."""

from __future__ import annotations

import csv
import io
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Literal

import pyarrow as pa
from pyarrow import parquet

from likewise.operations.files.packing import is_packed, written
from likewise.operations.files.replacing import replacing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    Pair = tuple[str, str]
    WritePairs = Callable[[Sequence[Pair]], None]

Format = Literal["csv", "parquet"]
_HEADER = ("user_id", "item_id")
_SCHEMA = pa.schema([(name, pa.string()) for name in _HEADER])


def format_of(path: Path) -> Format:
    """Return the format for the file's name."""
    return "parquet" if path.suffix.lower() == ".parquet" else "csv"


@contextmanager
def writing_likes(path: Path, kind: Format) -> Iterator[WritePairs]:
    """Yield a function that appends (user id, item id) pairs to the file.

    The file gets its name when the block succeeds, complete and synced to disk. Until then, and after
    a failure, any previous file remains. A CSV whose name ends in `.gz` is compressed.

    Raises:
        LikeFileError: the file can't be written.
    """
    with (
        replacing(path) as aside,
        _writer(aside, kind, packed=is_packed(path)) as write,
    ):
        yield write


def csv_writer(file: IO[str]) -> WritePairs:
    """Write the header, and return a function that appends pairs as CSV (RFC 4180, with plain newlines)."""
    plain = csv.writer(file, lineterminator="\n")
    # Before Python 3.13 a lone carriage return goes unquoted, and readers end the line there.
    quoting = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
    plain.writerow(_HEADER)

    def write(pairs: Sequence[Pair]) -> None:
        for pair in pairs:
            writer = quoting if "\r" in pair[0] or "\r" in pair[1] else plain
            writer.writerow(pair)

    return write


@contextmanager
def _writer(path: Path, kind: Format, *, packed: bool) -> Iterator[WritePairs]:
    if kind == "parquet":
        with parquet.ParquetWriter(path, _SCHEMA) as writer:
            yield lambda pairs: writer.write_batch(_record_batch(pairs))
    else:
        with (
            written(path, packed=packed) as raw,
            io.TextIOWrapper(raw, "utf-8", newline="") as file,
        ):
            yield csv_writer(file)


def _record_batch(pairs: Sequence[Pair]) -> pa.RecordBatch:
    columns = zip(*pairs, strict=True) if pairs else ((), ())
    return pa.RecordBatch.from_arrays(
        [pa.array(column, pa.string()) for column in columns], schema=_SCHEMA
    )
