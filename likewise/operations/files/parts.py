"""What reading every kind of file starts with: its first lines, bounded chunks, and one error."""

from __future__ import annotations

import lzma
import zipfile
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import pyarrow as pa

from likewise.operations.files.errors import LikeFileError
from likewise.operations.files.formats import PARQUET, foreign
from likewise.operations.files.text import encoding_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from likewise.operations.files.opening import FilePart, Peekable

R = TypeVar("R")
CHUNK_ROWS = 10_000
_CHUNK_BYTES = 4 << 20
_LOOKED_AT = 1 << 18
_LOOKED_AT_LINES = 1_000


@contextmanager
def reading(source: Path | str) -> Iterator[None]:
    """Turn what goes wrong while the source is read into a `LikeFileError` that names it."""
    try:
        yield
    except (
        OSError,
        EOFError,
        ValueError,
        zlib.error,
        lzma.LZMAError,
        zipfile.BadZipFile,
        pa.ArrowException,
    ) as error:
        reason = getattr(error, "strerror", None) or str(error).strip()
        raise LikeFileError(f"{source} can't be read: {reason}") from error


def is_parquet(part: FilePart) -> bool:
    """Whether the part is Parquet; otherwise it may be text.

    Raises:
        LikeFileError: it is empty, or in a format that is not supported.
    """
    start = part.stream.peek(_LOOKED_AT)
    if not start:
        raise LikeFileError(f"{part.name} can't be read: it is empty")
    if start.startswith(PARQUET):
        return True
    if part.name.lower().endswith(".parquet"):
        raise LikeFileError(f"{part.name} can't be read: it is not Parquet")
    if (what := foreign(start)) is not None:
        raise LikeFileError(f"{part.name} can't be read: {what}")
    return False


def head_of(part: FilePart, wanted_encoding: str | None) -> tuple[str, list[str]]:
    """Return the encoding of a text, and its first lines, without the last one if it is cut off.

    Raises:
        LikeFileError: the encoding is unknown, or the part is not text.
    """
    start = part.stream.peek(_LOOKED_AT)
    encoding = encoding_of(start, part.name, wanted_encoding)
    text = start.decode(encoding, errors="replace").replace("\r\n", "\n").replace("\r", "\n")
    lines = text.split("\n")
    if len(lines) > 1 and len(start) == _LOOKED_AT:
        lines.pop()
    return encoding, lines[:_LOOKED_AT_LINES]


def chunks_of(rows: Iterator[R], stream: Peekable, chunk_rows: int) -> Iterator[list[R]]:
    """Yield the rows in lists of bounded total text, for lines of any length."""
    chunk: list[R] = []
    before = stream.bytes_read
    for row in rows:
        chunk.append(row)
        if len(chunk) >= chunk_rows or stream.bytes_read - before > _CHUNK_BYTES:
            yield chunk
            chunk, before = [], stream.bytes_read
    if chunk:
        yield chunk
