"""The versions in a place: their names, their order, and which of them can be used."""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from likewise.errors import ModelFileError
from likewise.models.canaries import is_running, is_unproved, read_canary, versions_of
from likewise.models.files import read_manifest, read_model
from likewise.models.layout import ASIDE, MANIFEST, locked
from likewise.models.place import version_names

if TYPE_CHECKING:
    from collections.abc import Collection

    from likewise.models.manifest import Manifest
    from likewise.models.place import Place
    from likewise.models.remote import RemoteModels


def new_version(now_ms: int) -> str:
    """Return the name of a version made at this time; names sort by time."""
    seconds, milliseconds = divmod(now_ms, 1000)
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(seconds))
    return f"{stamp}.{milliseconds:03d}Z"


def list_versions(place: Place) -> list[Manifest]:
    """Return the manifests of all versions whose manifest can be read, newest first.

    Raises:
        ModelStoreError: the model store cannot be used.
    """
    found = []
    for name in version_names(place):
        try:
            found.append(read_manifest(place, name))
        except ModelFileError:
            continue  # `read_model` reports what is wrong with it when it is requested
    return found


def proved_versions(place: Place) -> list[Manifest]:
    """Return those of `list_versions` that may become current without being named.

    Left out are canaries that run or were not promoted, and versions that were built not to be announced.
    """
    return [
        manifest
        for manifest in list_versions(place)
        if not (manifest.held_back or is_unproved(place, manifest.version))
    ]


def newest_sound_version(place: Place) -> Manifest | None:
    """Return the newest of `proved_versions` that `read_model` takes, or None."""
    for manifest in proved_versions(place):
        try:
            read_model(place, manifest.version)
        except ModelFileError:
            continue
        return manifest
    return None


def remove_old_versions(place: Place, *, keep: int, in_use: Collection[str]) -> list[str]:
    """Remove all but the newest `keep` versions and those in use; return the removed ones.

    Also removes what a crashed build has left. A server that has a version mapped keeps it: the files
    exist until it unmaps them, and with a model store they are in its cache.

    Raises:
        ModelStoreError: the model store cannot be used.
    """
    removed = removable_versions(place, keep=keep, in_use=in_use)
    if not isinstance(place, Path):
        _remove_remote(place, removed, keep)
        return removed
    for left in place.glob(f"{ASIDE}*"):
        # A process that still writes to it holds its lock, which a crash releases.
        with suppress(OSError), locked(left):
            shutil.rmtree(left, ignore_errors=True)
    for name in removed:
        # The manifest goes first: a half-removed version is no version any more.
        (place / name / MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(place / name, ignore_errors=True)
    return removed


def removable_versions(place: Place, *, keep: int, in_use: Collection[str]) -> list[str]:
    """Return what `remove_old_versions` would remove, newest first.

    The versions of a canary that runs are in use, too.
    """
    names = version_names(place)
    kept = {*names[:keep], *in_use}
    for name in names:
        tried = read_canary(place, name)
        if tried is not None and is_running(tried):
            kept |= versions_of(tried)
    return [name for name in names if name not in kept]


def _remove_remote(place: RemoteModels, removed: list[str], keep: int) -> None:
    """Remove versions from a model store, and uploads that were never finished."""
    for name in removed:
        place.remove(name)
    newest = place.names()[:keep]
    for name in place.unfinished():
        # A younger one may still be uploaded.
        if len(newest) == keep and name < newest[-1]:
            place.remove(name)
