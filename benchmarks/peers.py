"""Indexes for the largest inner products, behind one interface: Annoy and what could replace it.

The peers are the dependency group `bench`; one that is not installed is left out, and the result says so.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from likewise.ranking.index import AnnoyVectors

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from likewise.ranking.array_types import FloatArray

    Search = Callable[[FloatArray, int, int], NDArray[np.intp]]
    """From a vector, how many rows are wanted and the effort to the rows."""

LINKS = 16
BUILD_EFFORT = 200
TREES = 20


class Peer(NamedTuple):
    """A library: how to index vectors with it, and the efforts that draw its curve."""

    name: str
    module: str
    build: Callable[[FloatArray], Search]
    efforts: tuple[int, ...]


def _annoy(vectors: FloatArray) -> Search:
    index = AnnoyVectors.build(vectors, metric="dot", trees=TREES, seed=0)
    return lambda vector, count, effort: index.nearest(vector, count, effort=effort)[0]


def _hnswlib(vectors: FloatArray) -> Search:
    index: Any = import_module("hnswlib").Index(space="ip", dim=vectors.shape[1])
    index.init_index(len(vectors), ef_construction=BUILD_EFFORT, M=LINKS, random_seed=0)
    index.add_items(vectors)

    def search(vector: FloatArray, count: int, effort: int) -> NDArray[np.intp]:
        index.set_ef(effort)
        return np.asarray(index.knn_query(vector, count, num_threads=1)[0][0], np.intp)

    return search


def _voyager(vectors: FloatArray) -> Search:
    voyager: Any = import_module("voyager")
    index = voyager.Index(
        voyager.Space.InnerProduct,
        num_dimensions=vectors.shape[1],
        M=LINKS,
        ef_construction=BUILD_EFFORT,
        random_seed=0,
    )
    index.add_items(vectors)
    return lambda vector, count, effort: np.asarray(
        index.query(vector, count, num_threads=1, query_ef=effort)[0], np.intp
    )


def _usearch(vectors: FloatArray) -> Search:
    index: Any = import_module("usearch.index").Index(
        ndim=vectors.shape[1],
        metric="ip",
        dtype="f32",
        connectivity=LINKS,
        expansion_add=BUILD_EFFORT,
    )
    index.add(np.arange(len(vectors)), vectors)

    def search(vector: FloatArray, count: int, effort: int) -> NDArray[np.intp]:
        index.expansion_search = effort
        return np.asarray(index.search(vector, count, threads=1).keys, np.intp)

    return search


_GRAPH_EFFORTS = (20, 40, 80, 160, 320, 640)
PEERS = (
    Peer("annoy", "annoy", _annoy, (500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000)),
    Peer("hnswlib", "hnswlib", _hnswlib, _GRAPH_EFFORTS),
    Peer("voyager", "voyager", _voyager, _GRAPH_EFFORTS),
    Peer("usearch", "usearch.index", _usearch, _GRAPH_EFFORTS),
)


def missing(peer: Peer) -> str | None:
    """Return why the library can't be used here, or None."""
    try:
        import_module(peer.module)
    except ImportError as error:
        return f"{peer.name} is left out: {error}. `make bench` installs it."
    return None
