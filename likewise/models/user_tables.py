"""The tables by user: who likes what in the snapshot. Only few models have them.

`neighbours` sums the likes of the nearest users, and `users_for` and `users_like` scan the likes of all
(`model.user_ids`). Every other model is a table of items: its size does not depend on the users.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import numpy as np
from scipy import sparse

from likewise.messages.ids import UserId
from likewise.models.arrays import (
    check_within,
    load_array,
    load_structure,
    save_array,
    save_structure,
)
from likewise.models.ids import load_ids
from likewise.ranking.array_types import empty_matrix
from likewise.ranking.degrees import is_binary, item_degrees
from likewise.ranking.ridge import typical_likes

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from likewise.models.manifest import Manifest
    from likewise.ranking.array_types import CsrMatrix
    from likewise.ranking.model import Model
    from likewise.ranking.recipe import Recipe

USER_IDS: Final = "user_ids.json"
_LIKES = "user_items"
_WEIGHTS = "user_items.values"
_STRUCTURE = frozenset(f"{_LIKES}.{table}.npy" for table in ("indptr", "indices"))


class UserTables(NamedTuple):
    """What a model knows of its users, and what only their likes tell about the items."""

    user_ids: list[UserId] | None
    user_items: CsrMatrix
    """[m, n], or [0, n] if no reader of this model asks for it."""
    typical_likes: float
    item_weights: NDArray[np.float64] | None
    """[n] as in `Model`; None as well if the version has a separate table for them."""


def required_files(manifest: Manifest) -> frozenset[str]:
    """Return the names of the files by user that a model of this manifest cannot do without."""
    if manifest.typical_likes is None or _needed(manifest.recipe, USER_IDS in manifest.files):
        return _STRUCTURE
    return frozenset()


def write_user_tables(path: Path, model: Model) -> None:
    """Write the tables by user into the directory of a version, if the model needs them.

    Raises:
        OSError: the disk does not take them.
    """
    if not _needed(model.recipe, model.user_ids is not None):
        return
    if model.user_ids is not None:
        (path / USER_IDS).write_bytes(msgspec.json.encode(model.user_ids))
    save_structure(path, _LIKES, model.user_items)
    if not is_binary(model.user_items):
        save_array(path, _WEIGHTS, model.user_items.data)


def read_user_tables(path: Path, manifest: Manifest) -> UserTables:
    """Return the tables by user, mapped into memory.

    Versions of format 3 have the likes in any case, and nothing that was computed of them.

    Raises:
        ModelFileError: a table is not what a model of this manifest has.
        OSError, ValueError, msgspec.MsgspecError: one cannot be read at all.
    """
    if not required_files(manifest):
        return UserTables(None, empty_matrix(0, manifest.items), manifest.typical_likes or 1, None)
    user_ids = None
    if has_ids := USER_IDS in manifest.files:
        user_ids = [UserId(one) for one in load_ids(path, USER_IDS, manifest, manifest.users)]
    shape = (manifest.users, manifest.items)
    liked = load_structure(path, _LIKES, *shape, manifest.likes)
    user_items = sparse.csr_array((_load_weights(path, manifest), *liked), shape=shape)
    typical, item_weights = manifest.typical_likes, None
    if typical is None:
        typical = typical_likes(user_items)
        if not is_binary(user_items):
            item_weights = item_degrees(user_items).astype(np.float64)
    if not _needed(manifest.recipe, has_ids):
        user_items = empty_matrix(0, manifest.items)
    return UserTables(user_ids, user_items, typical, item_weights)


def _needed(recipe: Recipe, with_user_ids: bool) -> bool:
    return recipe.ranker == "neighbours" or with_user_ids


def _load_weights(path: Path, manifest: Manifest) -> Any:
    """Return the weight of each like: the table if there is one, else ones."""
    if f"{_WEIGHTS}.npy" in manifest.files:
        table = load_array(path, _WEIGHTS, np.float32, (manifest.likes,))
        check_within(_WEIGHTS, table, float(np.finfo(np.float32).tiny))
        return table
    if manifest.recipe.ranker == "neighbours":  # which multiplies by them, batch by batch
        return np.ones(manifest.likes, np.float32)
    return np.broadcast_to(np.float32(1), manifest.likes)  # takes no memory
