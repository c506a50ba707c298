"""The tables of a model version: written, then memory-mapped after a check of their contents.

A checksum shows that a file is as it was written, not that its contents make sense. SciPy and Annoy use the
numbers in their tables as offsets without bounds checks; a wrong one reads foreign memory. So shapes, types,
bounds and finiteness are checked once, before anything is ranked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from scipy import sparse

from likewise.errors import ModelFileError
from likewise.messages.ids import ItemId
from likewise.models.arrays import (
    check_within,
    load_array,
    load_structure,
    save_array,
    save_structure,
)
from likewise.models.ids import load_ids
from likewise.models.item_index import index_files, read_annoy, read_item_index
from likewise.models.layout import ITEM_IDS
from likewise.models.user_tables import read_user_tables, required_files, write_user_tables
from likewise.ranking.model import Model

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import DTypeLike

    from likewise.models.manifest import Manifest

_USER_INDEX = "users.ann"
_LINKS = "cooccurrence"
_VECTORS: Mapping[str, DTypeLike] = {
    "item_counts": np.int32,
    "item_factors": np.float32,
    "spectrum": np.float32,
    "query_weights": np.float32,
    "score_weights": np.float32,
    "plain_rows": np.bool_,
    "doubled": np.float32,
}
_OPTIONAL: Mapping[str, DTypeLike] = {"decayed_counts": np.float32, "item_weights": np.float64}
"""Tables that a model has with decay, and with weighted signals."""
_REQUIRED = frozenset(
    [
        ITEM_IDS,
        *(f"{name}.npy" for name in _VECTORS),
        *(f"{_LINKS}.{table}.npy" for table in ("indptr", "indices", "values")),
    ]
)
# Rounding may carry a share a little beyond 1.
_MORE_THAN_ONE = 1 + 1e-4


def write_tables(path: Path, model: Model) -> None:
    """Write the tables of the model into an empty directory.

    Raises:
        ModelFileError: the model has no item index.
        OSError: the disk does not take them.
    """
    (path / ITEM_IDS).write_bytes(msgspec.json.encode(model.item_ids))
    for name in _VECTORS:
        save_array(path, name, getattr(model, name))
    for name in _OPTIONAL:
        if (table := getattr(model, name)) is not None:
            save_array(path, name, table)
    save_structure(path, _LINKS, model.cooccurrence)
    save_array(path, f"{_LINKS}.values", model.cooccurrence.data)
    write_user_tables(path, model)
    if model.item_index is None:
        raise ModelFileError("a model without an item index cannot be written")
    model.item_index.save(path)
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
        name: load_array(path, name, dtype, shapes.get(name, (n_items,)))
        for name, dtype in _VECTORS.items()
    }
    _check_vectors(vectors, manifest)
    optional = {name: _load_optional(path, name, manifest) for name in _OPTIONAL}
    near = load_structure(path, _LINKS, n_items, n_items)
    values = load_array(path, f"{_LINKS}.values", np.float32, near[0].shape)
    check_within(f"{_LINKS}.values", values)
    users = read_user_tables(path, manifest)
    if users.item_weights is not None:
        optional["item_weights"] = users.item_weights
    return Model(
        recipe=manifest.recipe,
        item_ids=[ItemId(one) for one in load_ids(path, ITEM_IDS, manifest, n_items)],
        user_ids=users.user_ids,
        **vectors,
        **optional,
        n_users=manifest.users,
        n_likes=manifest.likes,
        user_items=users.user_items,
        typical_likes=users.typical_likes,
        cooccurrence=sparse.csr_array((values, *near), shape=(n_items, n_items)),
        item_index=read_item_index(path, manifest),
        user_index=(
            read_annoy(path / _USER_INDEX, manifest.users, max(rank, 1), "angular")
            if _USER_INDEX in manifest.files
            else None
        ),
    )


def _check_names(manifest: Manifest) -> None:
    """Refuse a manifest that has no checksum for a file that is read."""
    required = _REQUIRED | required_files(manifest) | index_files(manifest)
    if manifest.recipe.ranker == "neighbours":
        required |= {_USER_INDEX}
    if missing := sorted(required - manifest.files.keys()):
        raise ModelFileError(f"the manifest does not name {', '.join(missing)}")
    if not 1 <= manifest.indexed_dimensions <= max(manifest.rank, 1):
        raise ModelFileError(
            f"its manifest says that {manifest.indexed_dimensions} dimensions of {manifest.rank} are indexed"
        )


def _check_vectors(vectors: Mapping[str, Any], manifest: Manifest) -> None:
    for name in ("item_factors", "doubled"):
        check_within(name, vectors[name])
    check_within("item_counts", vectors["item_counts"], 0, manifest.users)
    if (likes := int(vectors["item_counts"].sum(dtype=np.int64))) != manifest.likes:
        raise ModelFileError(f"item_counts has {likes} likes, its manifest says {manifest.likes}")
    check_within("spectrum", vectors["spectrum"], 0, _MORE_THAN_ONE)
    for name in ("query_weights", "score_weights"):
        check_within(name, vectors[name], 0)


def _load_optional(path: Path, name: str, manifest: Manifest) -> Any:
    """Return the table, or None if this version has none."""
    if f"{name}.npy" not in manifest.files:
        return None
    table = load_array(path, name, _OPTIONAL[name], (manifest.items,))
    check_within(name, table, 0)
    return table
