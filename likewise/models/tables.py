"""The tables of a model version: written, then memory-mapped after a check of their contents.

A checksum shows that a file is as it was written, not that its contents make sense. SciPy and Annoy use the
numbers in their tables as offsets without bounds checks; a wrong one reads foreign memory. So shapes, types,
bounds and finiteness are checked once, before anything is ranked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.lib import format as npy
from scipy import sparse

from likewise.errors import ModelFileError
from likewise.messages.ids import MAX_ID_BYTES, ItemId, UserId
from likewise.models.layout import ITEM_IDS
from likewise.models.regular_files import open_regular, read_regular, size_of
from likewise.ranking.degrees import is_binary
from likewise.ranking.index import AnnoyVectors
from likewise.ranking.model import Model

if TYPE_CHECKING:
    from collections.abc import Mapping
    from io import FileIO
    from pathlib import Path

    from numpy.typing import DTypeLike, NDArray

    from likewise.models.manifest import Manifest
    from likewise.ranking.array_types import CsrMatrix
    from likewise.ranking.index_files import Metric

_USER_IDS = "user_ids.json"
_ITEM_INDEX = "items.ann"
_USER_INDEX = "users.ann"
_DECAYED_COUNTS = "decayed_counts"
_WEIGHTS = "user_items.values"
_VECTORS: Mapping[str, DTypeLike] = {
    "item_counts": np.int32,
    "item_factors": np.float32,
    "spectrum": np.float32,
    "query_weights": np.float32,
    "score_weights": np.float32,
    "plain_rows": np.bool_,
    "doubled": np.float32,
}
_MATRICES = ("user_items", "cooccurrence")
_REQUIRED = frozenset(
    [
        ITEM_IDS,
        _ITEM_INDEX,
        *(f"{name}.npy" for name in (*_VECTORS, "cooccurrence.values")),
        *(f"{name}.{table}.npy" for name in _MATRICES for table in ("indptr", "indices")),
    ]
)
_NUMBERS = (np.dtype(np.int32), np.dtype(np.int64))
# Rounding may carry a share a little beyond 1.
_MORE_THAN_ONE = 1 + 1e-4


def write_tables(path: Path, model: Model) -> None:
    """Write the tables of the model into an empty directory.

    Raises:
        OSError: the disk does not take them.
    """
    (path / ITEM_IDS).write_bytes(msgspec.json.encode(model.item_ids))
    if model.user_ids is not None:
        (path / _USER_IDS).write_bytes(msgspec.json.encode(model.user_ids))
    for name in _VECTORS:
        _save(path, name, getattr(model, name))
    if model.decayed_counts is not None:
        _save(path, _DECAYED_COUNTS, model.decayed_counts)
    for name in _MATRICES:
        _save_structure(path, name, getattr(model, name))
    if not is_binary(model.user_items):
        _save(path, _WEIGHTS, model.user_items.data)
    _save(path, "cooccurrence.values", model.cooccurrence.data)
    model.item_index.save(path / _ITEM_INDEX)
    if model.user_index is not None:
        model.user_index.save(path / _USER_INDEX)


def read_tables(path: Path, manifest: Manifest) -> Model:
    """Return the model whose tables are in this directory, mapped into memory.

    Raises:
        ModelFileError: a table is not what a model of this manifest has.
        OSError, ValueError, msgspec.MsgspecError: one cannot be read at all.
    """
    _check_names(manifest)
    n_items, rank = manifest.items, manifest.rank
    shapes = {"item_factors": (n_items, rank), "spectrum": (rank,), "doubled": (rank,)}
    vectors = {
        name: _load(path, name, dtype, shapes.get(name, (n_items,)))
        for name, dtype in _VECTORS.items()
    }
    _check_vectors(vectors, manifest)
    liked = _load_structure(path, "user_items", manifest.users, n_items, manifest.likes)
    near = _load_structure(path, "cooccurrence", n_items, n_items)
    values = _load(path, "cooccurrence.values", np.float32, near[0].shape)
    _check_within("cooccurrence.values", values)
    return Model(
        recipe=manifest.recipe,
        item_ids=[ItemId(one) for one in _load_ids(path, ITEM_IDS, manifest, manifest.items)],
        user_ids=_load_user_ids(path, manifest),
        **vectors,
        user_items=sparse.csr_array(
            (_load_weights(path, manifest), *liked), shape=(manifest.users, n_items)
        ),
        cooccurrence=sparse.csr_array((values, *near), shape=(n_items, n_items)),
        item_index=_load_index(path / _ITEM_INDEX, n_items, manifest.indexed_dimensions, "dot"),
        user_index=(
            _load_index(path / _USER_INDEX, manifest.users, max(rank, 1), "angular")
            if _USER_INDEX in manifest.files
            else None
        ),
        decayed_counts=_load_decayed(path, manifest),
    )


def _check_names(manifest: Manifest) -> None:
    """Refuse a manifest that has no checksum for a file that is read."""
    required = _REQUIRED | ({_USER_INDEX} if manifest.recipe.ranker == "neighbours" else set())
    if missing := sorted(required - manifest.files.keys()):
        raise ModelFileError(f"the manifest does not name {', '.join(missing)}")
    if not 1 <= manifest.indexed_dimensions <= max(manifest.rank, 1):
        raise ModelFileError(
            f"its manifest says that {manifest.indexed_dimensions} dimensions of {manifest.rank} are indexed"
        )


def _check_vectors(vectors: Mapping[str, Any], manifest: Manifest) -> None:
    for name in ("item_factors", "doubled"):
        _check_within(name, vectors[name])
    _check_within("item_counts", vectors["item_counts"], 0, manifest.users)
    _check_within("spectrum", vectors["spectrum"], 0, _MORE_THAN_ONE)
    for name in ("query_weights", "score_weights"):
        _check_within(name, vectors[name], 0)


def _load_ids(path: Path, name: str, manifest: Manifest, rows: int) -> list[str]:
    raw = read_regular(path / name, at_most=manifest.files[name].bytes)
    ids = msgspec.json.decode(raw, type=list[str])
    if len(ids) != rows:
        raise ModelFileError(f"{name} has {len(ids)} ids for {rows} rows")
    if len(set(ids)) != len(ids):
        raise ModelFileError(f"{name} has an id twice")
    if ids and not 1 <= min(map(len, ids)) <= max(map(len, ids)) <= MAX_ID_BYTES:
        raise ModelFileError(f"{name} has an id that is empty or too long")
    return ids


def _load_user_ids(path: Path, manifest: Manifest) -> list[UserId] | None:
    """Return the users of the rows; None for a model that was built without their ids."""
    if _USER_IDS not in manifest.files:
        return None
    return [UserId(one) for one in _load_ids(path, _USER_IDS, manifest, manifest.users)]


def _load_decayed(path: Path, manifest: Manifest) -> Any:
    """Return the table, which is not there without decay, nor in a version that an older likewise wrote."""
    if f"{_DECAYED_COUNTS}.npy" not in manifest.files:
        return None
    table = _load(path, _DECAYED_COUNTS, np.float32, (manifest.items,))
    _check_within(_DECAYED_COUNTS, table, 0)
    return table


def _load_weights(path: Path, manifest: Manifest) -> Any:
    """Return the weight of each like: the table if there is one, else ones."""
    if f"{_WEIGHTS}.npy" in manifest.files:
        table = _load(path, _WEIGHTS, np.float32, (manifest.likes,))
        _check_within(_WEIGHTS, table, float(np.finfo(np.float32).tiny))
        return table
    if manifest.recipe.ranker == "neighbours":  # which multiplies by them, batch by batch
        return np.ones(manifest.likes, np.float32)
    return np.broadcast_to(np.float32(1), manifest.likes)  # takes no memory


def _load_structure(
    path: Path, name: str, rows: int, columns: int, entries: int | None = None
) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """Return where a CSR matrix has entries: columns, and where each row's begin and end."""
    indptr = _load(path, f"{name}.indptr", _NUMBERS, (rows + 1,))
    lengths = np.diff(indptr)
    if indptr[0] != 0 or (lengths < 0).any() or (lengths > columns).any():
        raise ModelFileError(f"{name}.indptr does not rise from 0 by up to {columns} at a time")
    end = int(indptr[-1])
    if entries is not None and end != entries:
        raise ModelFileError(f"{name}.indptr ends at {end}, its manifest says {entries}")
    indices = _load(path, f"{name}.indices", indptr.dtype, (end,))
    _check_within(f"{name}.indices", indices, 0, columns - 1)
    return indices, indptr


def _load_index(path: Path, rows: int, dimensions: int, metric: Metric) -> AnnoyVectors:
    """Return an index that has as many rows as the manifest says."""
    with open_regular(path):
        pass  # Annoy opens it by name
    index = AnnoyVectors.load(path, dimensions=dimensions, metric=metric, rows=rows)
    if len(index) != rows:
        raise ModelFileError(f"{path.name} has {len(index)} rows, its manifest says {rows}")
    return index


def _load(
    path: Path, name: str, dtype: DTypeLike | tuple[np.dtype[Any], ...], shape: tuple[int, ...]
) -> Any:
    """Return the table, mapped, if it is of this type (or of one of these) and shape."""
    allowed = dtype if isinstance(dtype, tuple) else (np.dtype(dtype),)
    with open_regular(path / f"{name}.npy") as file:
        found, by_columns, found_dtype = _header(file, name)
        if found != shape or by_columns or found_dtype not in allowed:
            wanted = " or ".join(map(str, allowed))
            raise ModelFileError(
                f"{name} is {found_dtype} {found}, not {wanted} {shape} as its manifest says"
            )
        begin = file.tell()
        table = np.memmap(file, found_dtype, "r", begin, shape)
        if size_of(file) != begin + table.nbytes:
            raise ModelFileError(f"{name}.npy has another length than its header says")
    return table


def _header(file: FileIO, name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return the shape, whether it is stored by columns, and the type that the file begins with."""
    try:
        if npy.read_magic(file) == (1, 0):
            return npy.read_array_header_1_0(file)
    except Exception as error:  # it is parsed as Python, and fails in many ways
        raise ModelFileError(f"{name}.npy has a header that can't be read: {error}") from error
    raise ModelFileError(f"{name}.npy is of another version of the format than 1.0")


def _check_within(name: str, table: Any, least: float = -np.inf, most: float = np.inf) -> None:
    """Refuse a table with a number outside these bounds, an infinite one, or one that is none (NaN)."""
    if not table.size:
        return
    low, high = table.min(), table.max()  # either is NaN where one number is
    if not (least <= low and high <= most and -np.inf < low and high < np.inf):
        raise ModelFileError(f"{name} has numbers from {low} to {high}, not from {least} to {most}")


def _save(path: Path, name: str, array: Any) -> None:
    np.save(path / f"{name}.npy", array, allow_pickle=False)


def _save_structure(path: Path, name: str, matrix: CsrMatrix) -> None:
    """Write where a CSR matrix has entries: both tables in one type, for a reader to map them.

    In 32 bits where they do: that is half of what servers hold of the links.
    """
    narrow = matrix.nnz <= np.iinfo(np.int32).max
    for table in ("indptr", "indices"):
        numbers = getattr(matrix, table).astype(np.int32 if narrow else np.int64, copy=False)
        _save(path, f"{name}.{table}", numbers)
