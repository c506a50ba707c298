"""The versions in a model directory: their names, their order, and which of them can be used."""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from likewise.errors import ModelFileError
from likewise.models.files import read_manifest, read_model
from likewise.models.layout import ASIDE, MANIFEST, VERSION, locked

if TYPE_CHECKING:
    from pathlib import Path

    from likewise.models.manifest import Manifest


def new_version(now_ms: int) -> str:
    """Return the name of a version made at this time; names sort by time."""
    seconds, milliseconds = divmod(now_ms, 1000)
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(seconds))
    return f"{stamp}.{milliseconds:03d}Z"


def list_versions(directory: Path) -> list[Manifest]:
    """Return the manifests of all versions whose manifest can be read, newest first."""
    found = []
    for name in _version_names(directory):
        try:
            found.append(read_manifest(directory, name))
        except ModelFileError:
            continue  # `read_model` reports what is wrong with it when it is requested
    return found


def newest_sound_version(directory: Path) -> Manifest | None:
    """Return the newest version that `read_model` takes, or None."""
    for manifest in list_versions(directory):
        try:
            read_model(directory, manifest.version)
        except ModelFileError:
            continue
        return manifest
    return None


def remove_old_versions(directory: Path, *, keep: int, current: str | None) -> list[str]:
    """Remove all but the newest `keep` versions and the current one; return what went.

    Also removes what a crashed build has left aside. A server that has a version mapped keeps
    it: the files live on until it lets go.
    """
    for left in directory.glob(f"{ASIDE}*"):
        # Whoever still writes to it holds its lock; a crash lets go of it.
        with suppress(OSError), locked(left):
            shutil.rmtree(left, ignore_errors=True)
    removed = [name for name in _version_names(directory)[keep:] if name != current]
    for name in removed:
        # The manifest goes first: a half-removed version is no version any more.
        (directory / name / MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(directory / name, ignore_errors=True)
    return removed


def _version_names(directory: Path) -> list[str]:
    if not directory.is_dir():
        return []
    names = (path.name for path in directory.iterdir() if path.is_dir())
    return sorted((name for name in names if VERSION.fullmatch(name)), reverse=True)
