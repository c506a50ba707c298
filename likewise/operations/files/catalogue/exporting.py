"""Writes the catalogue as JSON lines."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

from likewise.operations.files.packing import is_packed, written
from likewise.operations.files.replacing import replacing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from likewise.store.port import LikeStore

    OnProgress = Callable[[int], None]


def export_items(path: Path, store: LikeStore, on_progress: OnProgress) -> int:
    """Write all items to the file, atomically; return their number.

    Raises:
        LikeFileError: the file can't be written.
    """
    with replacing(path) as aside, written(aside, packed=is_packed(path)) as file:
        return lines_into(file, store, on_progress)


def lines_into(file: IO[bytes], store: LikeStore, on_progress: OnProgress) -> int:
    """Write a line for each item; return their number. Calls `on_progress` with the number so far."""
    lines = 0
    for chunk in store.catalogue_items():
        file.writelines(item + b"\n" for item in sorted(chunk))
        lines += len(chunk)
        on_progress(lines)
    return lines
