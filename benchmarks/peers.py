"""Indexes for the largest inner products, behind one interface: those of likewise and what could replace them.

The peers are the dependency group `bench`; one that is not installed is left out, and the result says so.
"""

from __future__ import annotations

import tempfile
from importlib import import_module
from pathlib import Path
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
LISTS_PER_ROOT = 2
RESCORED = 256


class Built(NamedTuple):
    """An index over some vectors."""

    search: Search
    size: int
    """Bytes of its file, or of its memory where it has no file."""


class Peer(NamedTuple):
    """A library: how to index vectors with it, and the efforts that draw its curve."""

    name: str
    module: str
    build: Callable[[FloatArray], Built]
    efforts: tuple[int, ...]
    mapped: bool = False
    """Whether processes share one file, mapped into memory."""


def _annoy(vectors: FloatArray) -> Built:
    index = AnnoyVectors.build(vectors, metric="dot", trees=TREES, seed=0)
    with tempfile.TemporaryDirectory() as directory:
        index.save(Path(directory, "index"))
        size = Path(directory, "index").stat().st_size
    return Built(lambda vector, count, effort: index.nearest(vector, count, effort=effort)[0], size)


def _hnswlib(vectors: FloatArray) -> Built:
    index: Any = import_module("hnswlib").Index(space="ip", dim=vectors.shape[1])
    index.init_index(len(vectors), ef_construction=BUILD_EFFORT, M=LINKS, random_seed=0)
    index.add_items(vectors)

    def search(vector: FloatArray, count: int, effort: int) -> NDArray[np.intp]:
        index.set_ef(effort)
        return np.asarray(index.knn_query(vector, count, num_threads=1)[0][0], np.intp)

    return Built(search, index.index_file_size())


def _voyager(vectors: FloatArray) -> Built:
    voyager: Any = import_module("voyager")
    index = voyager.Index(
        voyager.Space.InnerProduct,
        num_dimensions=vectors.shape[1],
        M=LINKS,
        ef_construction=BUILD_EFFORT,
        random_seed=0,
    )
    index.add_items(vectors)

    def search(vector: FloatArray, count: int, effort: int) -> NDArray[np.intp]:
        found = index.query(vector, count, num_threads=1, query_ef=effort)[0]
        return np.asarray(found, np.intp)

    return Built(search, len(index.as_bytes()))


def _usearch(vectors: FloatArray) -> Built:
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

    return Built(search, int(index.serialized_length))


def _faiss_hnsw(vectors: FloatArray) -> Built:
    faiss: Any = import_module("faiss")
    index = faiss.IndexHNSWFlat(vectors.shape[1], LINKS, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = BUILD_EFFORT
    index.add(vectors)

    def search(vector: FloatArray, count: int, effort: int) -> NDArray[np.intp]:
        faiss.omp_set_num_threads(1)
        params = faiss.SearchParametersHNSW(efSearch=effort)
        rows: NDArray[np.intp] = index.search(vector[None], count, params=params)[1][0]
        return rows

    return Built(search, faiss.serialize_index(index).nbytes)


def _faiss_lists(codes: str) -> Callable[[FloatArray], Built]:
    """Return how to index vectors by inverted lists of such codes; short ones are scored again."""

    def build(vectors: FloatArray) -> Built:
        faiss: Any = import_module("faiss")
        n_lists = max(int(LISTS_PER_ROOT * len(vectors) ** 0.5), 1)
        width = vectors.shape[1]
        described = f"IVF{n_lists},{codes.format(spans=width // 4)}"
        index = faiss.index_factory(width, described, faiss.METRIC_INNER_PRODUCT)
        index.train(vectors)
        index.add(vectors)
        short = "fs" in codes

        def search(vector: FloatArray, count: int, effort: int) -> NDArray[np.intp]:
            faiss.omp_set_num_threads(1)
            params = faiss.IVFSearchParameters(nprobe=effort)
            found = index.search(vector[None], RESCORED if short else count, params=params)[1][0]
            rows: NDArray[np.intp] = found[found >= 0]
            if short:
                rows = rows[np.argsort(-(vectors[rows] @ vector))[:count]]
            return rows

        return Built(search, faiss.serialize_index(index).nbytes)

    return build


def _scan(vectors: FloatArray) -> Built:
    def search(vector: FloatArray, count: int, _: int) -> NDArray[np.intp]:
        scores = vectors @ vector
        return np.argpartition(-scores, count)[:count]

    return Built(search, vectors.nbytes)


_GRAPH_EFFORTS = (20, 40, 80, 160, 320, 640)
_LISTS_EFFORTS = (4, 8, 16, 32, 64, 128)
PEERS = (
    Peer("scan", "numpy", _scan, (0,), mapped=True),
    Peer("annoy", "annoy", _annoy, (500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000), mapped=True),
    Peer("hnswlib", "hnswlib", _hnswlib, _GRAPH_EFFORTS),
    Peer("voyager", "voyager", _voyager, _GRAPH_EFFORTS),
    Peer("usearch", "usearch.index", _usearch, _GRAPH_EFFORTS, mapped=True),
    Peer("faiss, graph", "faiss", _faiss_hnsw, _GRAPH_EFFORTS),
    Peer("faiss, lists of int8", "faiss", _faiss_lists("SQ8"), _LISTS_EFFORTS),
    Peer("faiss, lists of float16", "faiss", _faiss_lists("SQfp16"), _LISTS_EFFORTS),
    Peer("faiss, lists of 4-bit codes", "faiss", _faiss_lists("PQ{spans}x4fs"), _LISTS_EFFORTS),
)


def missing(peer: Peer) -> str | None:
    """Return why the library can't be used here, or None."""
    try:
        import_module(peer.module)
    except ImportError as error:
        return f"{peer.name} is left out: {error}. `make bench` installs it."
    return None
