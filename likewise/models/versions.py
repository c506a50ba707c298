"""The versions in a model directory: their names, their order, and which of them can be used."""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from likewise.errors import ModelFileError
from likewise.models.canaries import is_running, is_unproved, read_canary, versions_of
from likewise.models.files import read_manifest, read_model
from likewise.models.layout import ASIDE, MANIFEST, VERSION, locked

if TYPE_CHECKING:
    from collections.abc import Collection
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


def proved_versions(directory: Path) -> list[Manifest]:
    """Return those of `list_versions` that may become current without being named.

    Left out are versions that are tried on a share of the users, and those that were not promoted then.
    """
    found = list_versions(directory)
    return [manifest for manifest in found if not is_unproved(directory, manifest.version)]


def newest_sound_version(directory: Path) -> Manifest | None:
    """Return the newest of `proved_versions` that `read_model` takes, or None."""
    for manifest in proved_versions(directory):
        try:
            read_model(directory, manifest.version)
        except ModelFileError:
            continue
        return manifest
    return None


def remove_old_versions(directory: Path, *, keep: int, in_use: Collection[str]) -> list[str]:
    """Remove all but the newest `keep` versions and those in use; return the removed ones.

    Also removes what a crashed build has left aside. A server that has a version mapped keeps it: the
    files exist until it unmaps them.
    """
    for left in directory.glob(f"{ASIDE}*"):
        # A process that still writes to it holds its lock, which a crash releases.
        with suppress(OSError), locked(left):
            shutil.rmtree(left, ignore_errors=True)
    removed = removable_versions(directory, keep=keep, in_use=in_use)
    for name in removed:
        # The manifest goes first: a half-removed version is no version any more.
        (directory / name / MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(directory / name, ignore_errors=True)
    return removed


def removable_versions(directory: Path, *, keep: int, in_use: Collection[str]) -> list[str]:
    """Return what `remove_old_versions` would remove, newest first.

    The versions of a canary that runs are in use, too.
    """
    names = _version_names(directory)
    kept = {*names[:keep], *in_use}
    for name in names:
        tried = read_canary(directory, name)
        if tried is not None and is_running(tried):
            kept |= versions_of(tried)
    return [name for name in names if name not in kept]


def _version_names(directory: Path) -> list[str]:
    if not directory.is_dir():
        return []
    names = (path.name for path in directory.iterdir() if path.is_dir())
    return sorted((name for name in names if VERSION.fullmatch(name)), reverse=True)
