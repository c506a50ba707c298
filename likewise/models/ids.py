"""Lists of ids in `.json` files, one id a row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from likewise.errors import ModelFileError
from likewise.messages.ids import MAX_ID_BYTES
from likewise.models.regular_files import read_regular

if TYPE_CHECKING:
    from pathlib import Path

    from likewise.models.manifest import Manifest


def load_ids(path: Path, name: str, manifest: Manifest, rows: int) -> list[str]:
    """Return the ids in a file that the manifest names, if there is a different one for each row.

    Raises:
        ModelFileError: there is not.
        OSError, msgspec.MsgspecError: the file cannot be read at all.
    """
    raw = read_regular(path / name, at_most=manifest.files[name].bytes)
    ids = msgspec.json.decode(raw, type=list[str])
    if len(ids) != rows:
        raise ModelFileError(f"{name} has {len(ids)} ids for {rows} rows")
    if len(set(ids)) != len(ids):
        raise ModelFileError(f"{name} has an id twice")
    if ids and not 1 <= min(map(len, ids)) <= max(map(len, ids)) <= MAX_ID_BYTES:
        raise ModelFileError(f"{name} has an id that is empty or too long")
    return ids
