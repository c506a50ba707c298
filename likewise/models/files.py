"""Model versions on disk: one directory each, written aside and renamed, read only when sound.

A version is `manifest.json` (what is in it, and a SHA-256 of every file), tables as `.npy` and
`.json`, and Annoy indexes. Nothing in it is code: no pickle is ever written or read.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from likewise.errors import ModelFileError
from likewise.models.arrays import read_tables, write_tables
from likewise.models.manifest import FileEntry, Manifest
from likewise.models.regular_files import open_regular, read_regular, size_of
from likewise.ranking.trial import try_out

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from likewise.ranking.model import Model

FORMAT = 3
"""Grows when a reader of today could not read the files any more."""

_MANIFEST = "manifest.json"
# It names a dozen files, and a dozen recipes that were tried.
_MOST_MANIFEST_BYTES = 1024 * 1024
_VERSION = re.compile(r"\d{8}T\d{6}\.\d{3}Z(-[0-9a-f]{4})?")
_ASIDE = ".aside-"


def new_version(now_ms: int) -> str:
    """Return the name of a version made at this time; names sort by time."""
    seconds, milliseconds = divmod(now_ms, 1000)
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(seconds))
    return f"{stamp}.{milliseconds:03d}Z"


def write_model(
    directory: Path,
    version: str,
    model: Model,
    *,
    snapshot_at_ms: int,
    build: Mapping[str, Any] | None = None,
) -> Manifest:
    """Write a version, so that it is there whole and durable, or not at all.

    Raises:
        ModelFileError: the directory can't be written to (full, read-only), or the version exists.
    """
    aside = directory / f"{_ASIDE}{version}-{os.getpid()}"
    try:
        # Only its owner looks in, unless an operator has made it for more.
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        aside.mkdir()
        with _locked(aside):
            write_tables(aside, model)
            manifest = _manifest(aside, version, model, snapshot_at_ms, build or {})
            (aside / _MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)))
            for path in aside.iterdir():
                _fsync(path)
            _fsync(aside)
            aside.rename(directory / version)
        _fsync(directory)
    except OSError as error:
        shutil.rmtree(aside, ignore_errors=True)
        raise ModelFileError(
            f"model {version} can't be written to {directory} (model.directory): {error.strerror}"
        ) from error
    return manifest


def read_model(directory: Path, version: str) -> Model:
    """Return a version, its files verified and mapped into memory, its tables checked and tried out.

    Raises:
        ModelFileError: it is missing, incomplete, corrupt, of a newer format, or does not rank.
    """
    manifest = read_manifest(directory, version)
    verify(directory, manifest)
    try:
        model = read_tables(directory / version, manifest)
        try_out(model)
    except ModelFileError as error:
        raise ModelFileError(f"model {version} can't be used: {error}") from error
    except (OSError, ValueError, KeyError, msgspec.MsgspecError) as error:
        raise ModelFileError(f"model {version} can't be read: {error}") from error
    return model


def read_manifest(directory: Path, version: str) -> Manifest:
    """Return the manifest of a version, without looking at its other files.

    Raises:
        ModelFileError: there is none, or it can't be read, or it is of a newer format.
    """
    if not _VERSION.fullmatch(version):
        # A version comes from Redis: it must never become a path to anywhere else.
        raise ModelFileError(f"{version[:64]!r} is not a model version")
    path = directory / version / _MANIFEST
    try:
        raw = read_regular(path, at_most=_MOST_MANIFEST_BYTES)
        format_ = msgspec.json.decode(raw, type=dict)["format"]
        if format_ != FORMAT:
            raise ModelFileError(
                f"model {version} has format {format_}, this likewise reads {FORMAT}; "
                "upgrade it, or build a new model with `likewise index --once`"
            )
        manifest = msgspec.json.decode(raw, type=Manifest)
    except OSError as error:
        raise ModelFileError(f"model {version} is not in {directory}: {error.strerror}") from error
    except (msgspec.MsgspecError, KeyError, UnicodeDecodeError, RecursionError) as error:
        raise ModelFileError(f"the manifest of model {version} can't be read: {error}") from error
    if manifest.version != version:
        raise ModelFileError(f"the manifest in {version} is that of {manifest.version}")
    return manifest


def verify(directory: Path, manifest: Manifest) -> None:
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


def list_versions(directory: Path) -> list[Manifest]:
    """Return the manifests of all versions whose manifest can be read, newest first."""
    found = []
    for name in _version_names(directory):
        try:
            found.append(read_manifest(directory, name))
        except ModelFileError:
            continue  # `read_model` says what is wrong with it to whoever wants it
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


def prune(directory: Path, *, keep: int, current: str | None) -> list[str]:
    """Remove all but the newest `keep` versions and the current one; return what went.

    Also removes what a crashed build has left aside. A server that has a version mapped keeps
    it: the files live on until it lets go.
    """
    for left in directory.glob(f"{_ASIDE}*"):
        # Whoever still writes to it holds its lock; a crash lets go of it.
        with suppress(OSError), _locked(left):
            shutil.rmtree(left, ignore_errors=True)
    removed = [name for name in _version_names(directory)[keep:] if name != current]
    for name in removed:
        # The manifest goes first: a half-removed version is no version any more.
        (directory / name / _MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(directory / name, ignore_errors=True)
    return removed


def _version_names(directory: Path) -> list[str]:
    if not directory.is_dir():
        return []
    names = (path.name for path in directory.iterdir() if path.is_dir())
    return sorted((name for name in names if _VERSION.fullmatch(name)), reverse=True)


def _manifest(
    path: Path, version: str, model: Model, snapshot_at_ms: int, build: Mapping[str, Any]
) -> Manifest:
    """Return what the files in `path`, all written, have to say of themselves."""
    return Manifest(
        format=FORMAT,
        version=version,
        snapshot_at_ms=snapshot_at_ms,
        users=model.user_items.shape[0],
        items=len(model.item_ids),
        likes=int(model.user_items.nnz),
        rank=model.item_factors.shape[1],
        indexed_dimensions=model.item_index.dimensions,
        recipe=model.recipe,
        build=dict(build),
        files={file.name: _entry(file) for file in sorted(path.iterdir())},
    )


def _entry(path: Path) -> FileEntry:
    return _entry_if_of_size(path, path.stat().st_size)


def _entry_if_of_size(path: Path, size: int) -> FileEntry:
    """Return the size and checksum of a regular file; without a checksum if it is of another size."""
    with open_regular(path) as file:
        if (found := size_of(file)) != size:
            return FileEntry(found, "")
        return FileEntry(size, hashlib.file_digest(file, "sha256").hexdigest())


@contextmanager
def _locked(path: Path) -> Iterator[None]:
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


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
