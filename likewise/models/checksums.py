"""The size and SHA-256 of each file of a model version."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from likewise.errors import ModelFileError
from likewise.models.manifest import FileEntry
from likewise.models.regular_files import open_regular, size_of

if TYPE_CHECKING:
    from likewise.models.manifest import Manifest


def verify_checksums(directory: Path, manifest: Manifest) -> None:
    """Return if every file of the version is there with the size and checksum of its manifest.

    Raises:
        ModelFileError: one is not.
    """
    for name, expected in manifest.files.items():
        path = directory / manifest.version / Path(name).name
        try:
            found = _entry_if_of_size(path, expected.bytes)
        except OSError as error:
            raise ModelFileError(
                f"model {manifest.version}: {name} can't be read: {error.strerror}"
            ) from error
        if found != expected:
            raise ModelFileError(
                f"model {manifest.version}: {name} is not what its manifest says "
                f"({found.bytes} bytes, {expected.bytes} expected, or another checksum)"
            )


def entry_of(path: Path) -> FileEntry:
    return _entry_if_of_size(path, path.stat().st_size)


def _entry_if_of_size(path: Path, size: int) -> FileEntry:
    """Return the size and checksum of a regular file; without a checksum if it is of another size."""
    with open_regular(path) as file:
        if (found := size_of(file)) != size:
            return FileEntry(found, "")
        return FileEntry(size, hashlib.file_digest(file, "sha256").hexdigest())
