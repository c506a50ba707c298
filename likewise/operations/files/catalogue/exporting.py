"""Writes the catalogue as JSON lines."""

from __future__ import annotations

import gzip
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, cast

from likewise.operations.files.replacing import replacing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from likewise.store.port import LikeStore

    OnProgress = Callable[[int], None]


def export_items(path: Path, store: LikeStore, on_progress: OnProgress) -> int:
    """Write all items to the file, atomically; return their number.

    Raises:
        LikeFileError: the file can't be written.
    """
    with replacing(path) as aside, _opened(aside, packed=path.suffix.lower() == ".gz") as file:
        return lines_into(file, store, on_progress)


def lines_into(file: IO[bytes], store: LikeStore, on_progress: OnProgress) -> int:
    """Write a line for each item; return their number. Calls `on_progress` with the number so far."""
    written = 0
    for chunk in store.catalogue_items():
        file.writelines(item + b"\n" for item in sorted(chunk))
        written += len(chunk)
        on_progress(written)
    return written


@contextmanager
def _opened(path: Path, *, packed: bool) -> Iterator[IO[bytes]]:
    with path.open("wb") as raw:
        if not packed:
            yield raw
            return
        # Without a name and a time in the header, equal items give equal bytes.
        with gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as file:
            yield cast("IO[bytes]", file)
