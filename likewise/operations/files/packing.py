"""Opens a file to write, compressed if its name says so."""

from __future__ import annotations

import gzip
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def is_packed(path: Path) -> bool:
    """Whether the name ends in `.gz`."""
    return path.suffix.lower() == ".gz"


@contextmanager
def written(path: Path, *, packed: bool) -> Iterator[IO[bytes]]:
    """Provide the file for the length of a `with` block; equal contents give equal bytes."""
    with path.open("wb") as raw:
        if not packed:
            yield raw
            return
        # Without a name and a time in the header.
        with gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as file:
            yield cast("IO[bytes]", file)
