"""Where the files of a model version are, and the calls that make them durable."""

from __future__ import annotations

import fcntl
import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MANIFEST = "manifest.json"
ITEM_IDS = "item_ids.json"
VERSION = re.compile(r"\d{8}T\d{6}\.\d{3}Z(-[0-9a-f]{4})?")
ASIDE = ".aside-"
"""How the directory of a version begins while it is being written."""
_ALTERNATIVES = "alternatives"


def alternatives_in(directory: Path) -> Path:
    """Return where the alternatives to the models in a directory are: one directory for each ranker."""
    return directory / _ALTERNATIVES


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the directory's lock, which nobody else may hold.

    Raises:
        OSError: somebody does, or there is no such directory.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
