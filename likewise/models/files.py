"""Model versions: one directory each, written aside and renamed, read only when sound.

A version is `manifest.json` (what is in it, and a SHA-256 of every file), tables as `.npy` and
`.json`, and Annoy indexes. Nothing in it is code: no pickle is ever written or read.
"""

from __future__ import annotations

import os
import shutil
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from likewise.errors import ModelFileError
from likewise.models.checksums import entry_of, verify_checksums
from likewise.models.layout import ASIDE, MANIFEST, VERSION, fsync, locked
from likewise.models.manifest import Manifest
from likewise.models.place import local, raw_manifest
from likewise.models.tables import read_tables, write_tables
from likewise.ranking.trial import try_out

if TYPE_CHECKING:
    from collections.abc import Mapping

    from likewise.messages.ids import SignalKind
    from likewise.models.place import Place
    from likewise.ranking.model import Model

FORMAT = 4
"""Grows when a reader of today could not read the files any more."""
_READABLE = (3, FORMAT)
# 3 had the likes of all users in every model: `likewise.models.user_tables`.


def write_model(
    directory: Path,
    version: str,
    model: Model,
    *,
    snapshot_at_ms: int,
    build: Mapping[str, Any] | None = None,
    weights: Mapping[SignalKind, float] | None = None,
) -> Manifest:
    """Write a version, so that it is there whole and durable, or not at all.

    Raises:
        ModelFileError: the directory can't be written to (full, read-only), or the version exists.
    """
    aside = directory / f"{ASIDE}{version}-{os.getpid()}"
    try:
        # Only its owner looks in, unless an operator has made it for more.
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        aside.mkdir()
        with locked(aside):
            write_tables(aside, model)
            manifest = _manifest(aside, version, model, snapshot_at_ms, build or {}, weights or {})
            (aside / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)))
            for path in aside.iterdir():
                fsync(path)
            fsync(aside)
            aside.rename(directory / version)
        fsync(directory)
    except OSError as error:
        shutil.rmtree(aside, ignore_errors=True)
        raise ModelFileError(
            f"model {version} can't be written to {directory} (model.directory): {error.strerror}"
        ) from error
    return manifest


def read_model(place: Place, version: str) -> Model:
    """Return a version, its files verified and mapped into memory, its tables checked and tried out.

    From a model store it is fetched first, unless the cache has it. There it stays as long as the model lives.

    Raises:
        ModelFileError: it is missing, incomplete, corrupt, of a newer format, or does not rank.
        ModelStoreError: the model store cannot be used.
    """
    manifest = read_manifest(place, version)
    if isinstance(place, Path):
        verify_checksums(place, manifest)
        return _mapped(place, manifest)
    hold = place.fetch(manifest)
    try:
        model = _mapped(local(place), manifest)
    except BaseException:
        hold.release()
        raise
    weakref.finalize(model, hold.release)
    return model


def read_manifest(place: Place, version: str) -> Manifest:
    """Return the manifest of a version, without looking at its other files.

    Raises:
        ModelFileError: there is none, or it can't be read, or it is of a newer format.
        ModelStoreError: the model store cannot be used.
    """
    if not VERSION.fullmatch(version):
        # A version comes from Redis: it must never become a path to anywhere else.
        raise ModelFileError(f"{version[:64]!r} is not a model version")
    try:
        return _decoded(place, version)
    except ModelFileError:
        # Perhaps the copy on this host is damaged, and not the version.
        if isinstance(place, Path) or not place.discard(version):
            raise
    return _decoded(place, version)


def _decoded(place: Place, version: str) -> Manifest:
    try:
        raw = raw_manifest(place, version)
        format_ = msgspec.json.decode(raw, type=dict)["format"]
        if format_ not in _READABLE:
            raise ModelFileError(
                f"model {version} has format {format_}, this likewise reads {_READABLE[0]} to {FORMAT}; "
                "upgrade it, or build a new model with `likewise index --once`"
            )
        manifest = msgspec.json.decode(raw, type=Manifest)
    except OSError as error:
        raise ModelFileError(f"model {version} is not in {place}: {error.strerror}") from error
    except (msgspec.MsgspecError, KeyError, UnicodeDecodeError, RecursionError) as error:
        raise ModelFileError(f"the manifest of model {version} can't be read: {error}") from error
    if manifest.version != version:
        raise ModelFileError(f"the manifest in {version} is that of {manifest.version}")
    return manifest


def _mapped(directory: Path, manifest: Manifest) -> Model:
    version = manifest.version
    try:
        model = read_tables(directory / version, manifest)
        try_out(model)
    except ModelFileError as error:
        raise ModelFileError(f"model {version} can't be used: {error}") from error
    except (OSError, ValueError, KeyError, msgspec.MsgspecError) as error:
        raise ModelFileError(f"model {version} can't be read: {error}") from error
    return model


def _manifest(
    path: Path,
    version: str,
    model: Model,
    snapshot_at_ms: int,
    build: Mapping[str, Any],
    weights: Mapping[SignalKind, float],
) -> Manifest:
    """Return what the files in `path`, all written, have to say of themselves."""
    return Manifest(
        format=FORMAT,
        version=version,
        snapshot_at_ms=snapshot_at_ms,
        users=model.n_users,
        items=len(model.item_ids),
        likes=model.n_likes,
        typical_likes=model.typical_likes,
        rank=model.item_factors.shape[1],
        indexed_dimensions=1 if model.item_index is None else model.item_index.dimensions,
        recipe=model.recipe,
        build=dict(build),
        weights={str(kind): weight for kind, weight in weights.items()},
        files={file.name: entry_of(file) for file in sorted(path.iterdir())},
    )
