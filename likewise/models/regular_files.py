"""Opening files that somebody else may have put there: regular ones only, and never blocking."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from errno import EINVAL, ELOOP
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import FileIO
    from pathlib import Path


@contextmanager
def open_regular(path: Path) -> Iterator[FileIO]:
    """Open the file for reading if it is a regular file, and no link to one.

    Opening a pipe blocks, and a device may have no end.

    Raises:
        OSError: it is something else, or not there.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        if error.errno == ELOOP:
            raise OSError(ELOOP, "it is a symbolic link, not a regular file") from error
        raise
    with open(descriptor, "rb", buffering=0) as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(EINVAL, "it is not a regular file")
        yield file


def size_of(file: FileIO) -> int:
    """Return the size of an open file in bytes."""
    return os.fstat(file.fileno()).st_size


def read_regular(path: Path, *, at_most: int) -> bytes:
    """Return the content of a regular file of no more than `at_most` bytes.

    Raises:
        OSError: it is larger, not regular, or not there.
    """
    with open_regular(path) as file:
        if size_of(file) > at_most:
            raise OSError(EINVAL, f"it has more than {at_most} bytes")
        return file.read(at_most)
