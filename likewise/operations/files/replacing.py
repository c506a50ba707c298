"""Writes a file atomically."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from likewise.operations.files.errors import LikeFileError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Provide the path to write to.

    The file gets its name when the block succeeds, complete and synced to disk. Until then, and after
    a failure, any previous file remains.

    Raises:
        LikeFileError: the file can't be written.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield aside
        with aside.open("rb") as file:
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError as error:
        raise LikeFileError(f"{path} can't be written: {error.strerror}") from error
    finally:
        aside.unlink(missing_ok=True)
