"""Shards as files of a worker: `.npy` arrays, mapped into memory by each task and never unpickled."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy import sparse

from indexer.cluster.errors import ShardLostError
from indexer.cluster.packing import Packed, pack, unpack
from indexer.interactions import Interactions
from likewise.messages.ids import ItemId, UserId

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from likewise.ranking.array_types import CsrMatrix

_STALE_S = 86_400.0
AS_READ = "as-read"
"""The name of what was read from Redis; its columns are those of the shard's own items."""


class Shard(NamedTuple):
    """A part of the users of one snapshot."""

    snapshot: str
    number: int
    directory: str | None
    """Where its files are, if all workers share a directory; None: where its worker keeps its files."""

    def path(self, name: str) -> Path:
        """Return the directory of what is stored under this name. Only in a task, on a worker."""
        return self.root() / self.snapshot / str(self.number) / name

    def root(self) -> Path:
        """Return the directory of all snapshots."""
        if self.directory is not None:
            return Path(self.directory)
        from distributed import get_worker

        return Path(get_worker().local_directory) / "likewise-shards"


def remove_stale(shard: Shard) -> None:
    """Remove the snapshots of a day ago and before: those of indexers that were killed."""
    root, now_s = shard.root(), time.time()
    for snapshot in root.iterdir() if root.is_dir() else ():
        if now_s - snapshot.stat().st_mtime > _STALE_S and snapshot.name != shard.snapshot:
            shutil.rmtree(snapshot, ignore_errors=True)


def save(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write the arrays as a directory that is there whole or not at all; what is there already stays."""
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    aside.mkdir(parents=True, exist_ok=True)
    for name, array in arrays.items():
        np.save(aside / f"{name}.npy", array, allow_pickle=False)
    try:
        aside.rename(path)
    except OSError:  # another worker, or an attempt before this one, has written the same
        shutil.rmtree(aside, ignore_errors=True)
        if not path.is_dir():
            raise


def load(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays, mapped.

    Raises:
        ShardLostError: they are not there.
    """
    try:
        names = [file.name for file in path.iterdir()]
        # As plain arrays: a subclass would go through every operation of SciPy.
        return {
            name.removesuffix(".npy"): np.asarray(
                np.load(path / name, mmap_mode="r", allow_pickle=False)
            )
            for name in names
        }
    except FileNotFoundError as error:
        raise ShardLostError(f"{path} is not on this worker") from error


def save_matrix(shard: Shard, name: str, matrix: CsrMatrix) -> None:
    """Keep a matrix of the shard under this name."""
    tables = {"data": matrix.data, "indices": matrix.indices, "indptr": matrix.indptr}
    save(shard.path(name), tables | {"shape": np.array(matrix.shape)})


def load_matrix(shard: Shard, name: str) -> CsrMatrix:
    """Return a matrix of the shard, its tables mapped; see `load`."""
    tables = load(shard.path(name))
    rows, columns = tables["shape"].tolist()
    parts = (tables["data"], tables["indices"], tables["indptr"])
    return sparse.csr_array(parts, shape=(rows, columns))


def save_interactions(shard: Shard, table: Interactions) -> str:
    """Keep what was read of the shard, and return the checksum of its contents."""
    arrays = _arrays_of(table)
    save(shard.path(AS_READ), arrays)
    return checksum(arrays)


def load_interactions(shard: Shard) -> Interactions:
    """Return what was read of the shard; see `load`."""
    arrays = load(shard.path(AS_READ))
    users, items = (
        unpack(Packed(arrays[f"{name}_text"], arrays[f"{name}_ends"]))
        for name in ("users", "items")
    )
    parts = (arrays["data"], arrays["indices"], arrays["indptr"])
    matrix = sparse.csr_array(parts, shape=(len(users), len(items)))
    return Interactions(matrix, [UserId(one) for one in users], [ItemId(one) for one in items])


def checksum(arrays: Mapping[str, NDArray[Any]]) -> str:
    """Return a checksum of the arrays and their names."""
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype} {len(arrays[name])};".encode())
        digest.update(np.ascontiguousarray(arrays[name]).view(np.uint8).data)
    return digest.hexdigest()


def _arrays_of(table: Interactions) -> dict[str, NDArray[Any]]:
    matrix = table.user_items
    users, items = pack(table.user_ids), pack(table.item_ids)
    return {
        "users_text": users.text,
        "users_ends": users.ends,
        "items_text": items.text,
        "items_ends": items.ends,
        "data": matrix.data,
        "indices": matrix.indices,
        "indptr": matrix.indptr,
    }
