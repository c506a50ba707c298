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
import numpy as np
from scipy import sparse

from likewise.errors import ModelFileError
from likewise.ids import ItemId
from likewise.models import Announcement
from likewise.ranking.annoy_vectors import AnnoyVectors
from likewise.ranking.model import Model
from likewise.ranking.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from likewise.ranking.annoy_vectors import Metric

FORMAT = 3
"""Grows when a reader of today could not read the files any more."""

_MANIFEST = "manifest.json"
_ITEM_IDS = "item_ids.json"
_ITEM_INDEX = "items.ann"
_USER_INDEX = "users.ann"
_DECAYED_COUNTS = "decayed_counts"
_VECTORS = (
    "item_counts",
    "item_factors",
    "spectrum",
    "query_weights",
    "score_weights",
    "plain_rows",
    "doubled",
)
_VERSION = re.compile(r"\d{8}T\d{6}\.\d{3}Z(-[0-9a-f]{4})?")
_ASIDE = ".aside-"


class FileEntry(msgspec.Struct, frozen=True):
    """One file of a version: its size and its checksum."""

    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a model version says of itself."""

    format: int
    version: str
    snapshot_at_ms: int
    """When the snapshot that the model was built from began (ms since the epoch)."""
    users: int
    items: int
    likes: int
    rank: int
    """Dimensions of the item vectors: at most the recipe's, fewer on a tiny store."""
    indexed_dimensions: int
    """The first dimensions of the item vectors, those that the item index is over."""
    recipe: Recipe
    build: dict[str, Any]
    """Seconds of each build step, and how `ranker=auto` came to its choice."""
    files: dict[str, FileEntry]

    def announcement(self) -> Announcement:
        """Return what servers are told of this version."""
        return Announcement(
            version=self.version,
            snapshot_at_ms=self.snapshot_at_ms,
            users=self.users,
            items=self.items,
            likes=self.likes,
            ranker=self.recipe.ranker,
        )


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
        aside.mkdir(parents=True)
        with _locked(aside):
            _write_tables(aside, model)
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
    """Return a version, its files verified and mapped into memory.

    Raises:
        ModelFileError: it is missing, incomplete, corrupt, or of a newer format.
    """
    manifest = read_manifest(directory, version)
    verify(directory, manifest)
    path = directory / version
    try:
        return _read_tables(path, manifest)
    except (OSError, ValueError, KeyError, msgspec.MsgspecError) as error:
        raise ModelFileError(f"model {version} can't be read: {error}") from error


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
        raw = path.read_bytes()
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
            found = _entry(path)
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
    """Return the newest version whose files are all as its manifest says, or None."""
    for manifest in list_versions(directory):
        try:
            verify(directory, manifest)
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


def _write_tables(path: Path, model: Model) -> None:
    (path / _ITEM_IDS).write_bytes(msgspec.json.encode(model.item_ids))
    for name in _VECTORS:
        _save(path, name, getattr(model, name))
    if model.decayed_counts is not None:
        _save(path, _DECAYED_COUNTS, model.decayed_counts)
    _save_structure(path, "user_items", model.user_items)
    _save_structure(path, "cooccurrence", model.cooccurrence)
    _save(path, "cooccurrence.values", model.cooccurrence.data)
    model.item_index.save(path / _ITEM_INDEX)
    if model.user_index is not None:
        model.user_index.save(path / _USER_INDEX)


def _read_tables(path: Path, manifest: Manifest) -> Model:
    n_items = manifest.items
    ones = np.broadcast_to(np.float32(1), manifest.likes)  # no memory of its own
    if manifest.recipe.ranker == "neighbours":  # which multiplies by them, batch by batch
        ones = np.ones(manifest.likes, np.float32)
    likes = (ones, _load(path, "user_items.indices"), _load(path, "user_items.indptr"))
    similar = tuple(_load(path, f"cooccurrence.{name}") for name in ("values", "indices", "indptr"))
    user_dimensions = max(manifest.rank, 1)
    vectors = {name: _load(path, name) for name in _VECTORS}
    if (shape := vectors["item_factors"].shape) != (n_items, manifest.rank):
        raise ModelFileError(f"item_factors is {shape}, not what its manifest says")
    return Model(
        recipe=manifest.recipe,
        item_ids=msgspec.json.decode((path / _ITEM_IDS).read_bytes(), type=list[ItemId]),
        **vectors,
        user_items=sparse.csr_array(likes, shape=(manifest.users, n_items)),
        cooccurrence=sparse.csr_array(similar, shape=(n_items, n_items)),
        item_index=_load_index(path / _ITEM_INDEX, n_items, manifest.indexed_dimensions, "dot"),
        user_index=(
            _load_index(path / _USER_INDEX, manifest.users, user_dimensions, "angular")
            if _USER_INDEX in manifest.files
            else None
        ),
        # Not there without decay, nor in a version that an older likewise wrote.
        decayed_counts=(
            _load(path, _DECAYED_COUNTS) if f"{_DECAYED_COUNTS}.npy" in manifest.files else None
        ),
    )


def _save(path: Path, name: str, array: Any) -> None:
    np.save(path / f"{name}.npy", array, allow_pickle=False)


def _save_structure(path: Path, name: str, matrix: Any) -> None:
    """Write where a CSR matrix has entries: both tables in one type, for a reader to map them.

    In 32 bits where they do: that is half of what servers hold of the links.
    """
    narrow = matrix.nnz <= np.iinfo(np.int32).max
    for table in ("indptr", "indices"):
        numbers = getattr(matrix, table).astype(np.int32 if narrow else np.int64, copy=False)
        _save(path, f"{name}.{table}", numbers)


def _load(path: Path, name: str) -> Any:
    return np.load(path / f"{name}.npy", mmap_mode="r", allow_pickle=False)


def _load_index(path: Path, rows: int, dimensions: int, metric: Metric) -> AnnoyVectors:
    """Return an index that has as many rows as the manifest says.

    Its file does not tell its dimensions, and the manifest has no checksum of its own: with a wrong
    number Annoy refuses the file or finds other rows in it, and would crash when it is searched.
    """
    index = AnnoyVectors.load(path, dimensions=dimensions, metric=metric)
    if len(index) != rows:
        raise ModelFileError(f"{path.name} has {len(index)} rows, its manifest says {rows}")
    return index


def _entry(path: Path) -> FileEntry:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return FileEntry(path.stat().st_size, digest)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the directory's lock, which nobody else may hold.

    Raises:
        OSError: somebody does, or there is no such directory.
    """
    descriptor = os.open(path, os.O_RDONLY)
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
