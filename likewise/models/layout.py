"""Where the files of a model version are, and the calls that make them durable."""

from __future__ import annotations

import fcntl
import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class _Divisible(Protocol):
    """A directory, or a folder of a model store."""

    def __truediv__(self, name: str) -> Self: ...


P = TypeVar("P", bound=_Divisible)

MANIFEST = "manifest.json"
ITEM_IDS = "item_ids.json"
# It names a dozen files, and a dozen recipes that were tried.
MOST_MANIFEST_BYTES = 1024 * 1024
VERSION = re.compile(r"\d{8}T\d{6}\.\d{3}Z(-[0-9a-f]{4})?")
ASIDE = ".aside-"
"""How the directory of a version begins while it is being written."""
_ALTERNATIVES = "alternatives"


def alternatives_in(place: P) -> P:
    """Return where the alternatives to the models in a place are: one folder for each ranker."""
    return place / _ALTERNATIVES


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
