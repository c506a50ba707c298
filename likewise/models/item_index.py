"""The item index of a model version: Annoy's file, or the tables that an index of faiss is made of.

faiss trusts what it reads, so no file is passed to it: the tables are checked like all others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from likewise.errors import ModelFileError
from likewise.models.arrays import check_within, load_array
from likewise.models.regular_files import open_regular
from likewise.ranking.annoy_items import FILE, AnnoyItems
from likewise.ranking.index import AnnoyVectors
from likewise.ranking.item_index import faiss_is_installed
from likewise.ranking.quantised_tables import CENTROIDS_OF_A_CODE, PREFIX, QuantisedTables
from likewise.service.logs import get_logger

if TYPE_CHECKING:
    from pathlib import Path

    from likewise.models.manifest import Manifest
    from likewise.ranking.index_files import Metric
    from likewise.ranking.item_index import ItemIndex

_TABLES = frozenset(f"{PREFIX}{name}.npy" for name in QuantisedTables._fields)


def index_files(manifest: Manifest) -> frozenset[str]:
    """Return the files that the item index of this version is read from."""
    return _TABLES if _TABLES & manifest.files.keys() else frozenset({FILE})


def read_item_index(path: Path, manifest: Manifest) -> ItemIndex | None:
    """Return the index, or None if it is one of faiss and the extra `search` is not installed.

    Raises:
        ModelFileError: a file is not what an index of this manifest has.
        OSError: one cannot be read at all.
    """
    if FILE in index_files(manifest):
        return AnnoyItems(
            read_annoy(path / FILE, manifest.items, manifest.indexed_dimensions, "dot")
        )
    tables = _read_tables(path, manifest)
    if not faiss_is_installed():
        get_logger().warning(
            "every item is scanned for each answer: the index of this model needs the extra 'search'",
            model=manifest.version,
            items=manifest.items,
        )
        return None
    from likewise.ranking.quantised import QuantisedItems

    return QuantisedItems(tables, manifest.indexed_dimensions)


def read_annoy(path: Path, rows: int, dimensions: int, metric: Metric) -> AnnoyVectors:
    """Return an index of Annoy's that has as many rows as the manifest says.

    Raises:
        ModelFileError: it has not, or a search of it would not be safe.
        OSError: it cannot be read at all.
    """
    with open_regular(path):
        pass  # Annoy opens it by name
    index = AnnoyVectors.load(path, dimensions=dimensions, metric=metric, rows=rows)
    if len(index) != rows:
        raise ModelFileError(f"{path.name} has {len(index)} rows, its manifest says {rows}")
    return index


def _read_tables(path: Path, manifest: Manifest) -> QuantisedTables:
    n_items = manifest.items
    books = load_array(path, f"{PREFIX}codebooks", np.float32, (None, CENTROIDS_OF_A_CODE, None))
    n_codes, _, span = books.shape
    width = n_codes * span
    if not width or n_codes % 2 or width < manifest.indexed_dimensions:
        raise ModelFileError(f"{PREFIX}codebooks has {n_codes} codes of {span} dimensions")
    centroids = load_array(path, f"{PREFIX}centroids", np.float32, (None, width))
    lists = load_array(path, f"{PREFIX}lists", np.int32, (n_items,))
    codes = load_array(path, f"{PREFIX}codes", np.uint8, (n_items, n_codes // 2))
    for name, table in (("codebooks", books), ("centroids", centroids)):
        check_within(f"{PREFIX}{name}", table)
    check_within(f"{PREFIX}lists", lists, 0, len(centroids) - 1)
    return QuantisedTables(centroids, books, lists, codes)
