"""Tasks on the matrices of a shard. They run on workers, and are sums or selections of its rows.

A task finds its matrices in files (`indexer.cluster.files`) and keeps nothing in memory: any number of shards
fits a worker, and a task that is repeated gives the same.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph
from threadpoolctl import threadpool_limits

from indexer import rows
from indexer.cluster.files import AS_READ, Shard, load, load_matrix, save, save_matrix
from indexer.gram import Gram, cores
from indexer.links import cut_block
from indexer.normalising import normalise
from likewise.ranking.degrees import is_binary
from likewise.ranking.sampling import bounded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from indexer.links import Cut
    from likewise.ranking.array_types import CsrMatrix, FloatArray
    from likewise.ranking.degrees import Degrees

    IntArray = NDArray[np.integer]

_NUMBERS = "numbers"
"""The name of the numbers of the shard's rows among all rows."""


class Summary(NamedTuple):
    """What all operations on a matrix need to know of its rows."""

    lengths: NDArray[np.int32]
    """[m] entries of each row."""
    binary: bool
    largest: float


def version() -> str:
    """Return the version of likewise on this worker."""
    import likewise

    return likewise.__version__


def discard(shard: Shard, name: str | None) -> None:
    """Remove a matrix of the shard; without a name, the whole snapshot."""
    path = shard.root() / shard.snapshot if name is None else shard.path(name)
    shutil.rmtree(path, ignore_errors=True)


def place(
    shard: Shard, name: str, columns: NDArray[np.int32], numbers: IntArray, n_items: int
) -> None:
    """Give the shard's items and users their numbers among all: `columns` [own items], `numbers` [own users]."""
    own = load(shard.path(AS_READ))
    tables = (own["data"], columns[own["indices"]], own["indptr"])
    save_matrix(shard, name, sparse.csr_array(tables, shape=(len(numbers), n_items)))
    save(shard.path(_NUMBERS), {"numbers": numbers})


def summary(shard: Shard, name: str) -> Summary:
    """Return the summary of a matrix."""
    matrix = load_matrix(shard, name)
    lengths = np.diff(matrix.indptr).astype(np.int32)
    return Summary(lengths, is_binary(matrix), float(matrix.data.max(initial=0)))


def item_counts(shard: Shard, name: str) -> IntArray:
    """Return the number of entries of each column, [n]."""
    matrix = load_matrix(shard, name)
    return np.bincount(matrix.indices, minlength=matrix.shape[1])


def item_degrees(shard: Shard, name: str, most: int | None = None) -> NDArray[Any]:
    """Return the sum of each column, [n], with at most so many entries of each row."""
    matrix = load_matrix(shard, name) if most is None else _bounded(shard, name, most)
    return np.bincount(matrix.indices, matrix.data, minlength=matrix.shape[1])


def strong_counts(shard: Shard, name: str, largest: float) -> IntArray:
    """Return the number of strong entries of each row, [m]."""
    return np.diff(rows.strong(load_matrix(shard, name), largest)[1])


def take_out(
    shard: Shard, name: str, new: str, own: IntArray, ordinals: IntArray, largest: float
) -> IntArray:
    """Keep the matrix without some strong entries of the shard's rows, and return their columns."""
    matrix = load_matrix(shard, name)
    among = rows.strong(matrix, largest)
    rest, columns = rows.without(matrix, among, own, ordinals)  # type: ignore[arg-type]  # integers
    save_matrix(shard, new, rest)  # type: ignore[arg-type]  # it is as local as the matrix
    return columns


def normalised(
    shard: Shard, name: str, new: str, degrees: Degrees, exponents: tuple[float, float], most: int
) -> None:
    """Keep R, made of the matrix with at most so many entries of each row and the items' degrees [n]."""
    save_matrix(shard, new, normalise(_bounded(shard, name, most), *exponents, degrees))


def transposed(shard: Shard, name: str, new: str) -> None:
    """Keep R' of R."""
    save_matrix(shard, new, load_matrix(shard, name).T.tocsr())


def taken(shard: Shard, name: str, own: IntArray | None) -> tuple[NDArray[Any], ...]:
    """Return the tables of some rows, CSR; None: all."""
    matrix = load_matrix(shard, name)
    some = matrix if own is None else matrix[own]
    return some.data, some.indices, some.indptr


def gram(shard: Shard, name: str, block: FloatArray) -> FloatArray:
    """Return ``R'(R X)`` of the shard's rows, float32 [n, b]."""
    with threadpool_limits(1, "blas"):
        product: FloatArray = Gram(load_matrix(shard, name), _threads()) @ block
    return product


def squares(shard: Shard, name: str) -> NDArray[np.float64]:
    """Return the sum of squares of each column, [n]."""
    return rows.squares(load_matrix(shard, name))


def pairs(shard: Shard, name: str) -> NDArray[np.float64]:
    """Return how many entries each row of ``R'R`` has at most, by this shard's rows alone: [n]."""
    matrix = load_matrix(shard, name)
    lengths = np.diff(matrix.indptr)
    found = np.bincount(matrix.indices, np.repeat(lengths, lengths), minlength=matrix.shape[1])
    return np.minimum(found, matrix.shape[1])


def gram_rows(shard: Shard, name: str, by_item: str, first: int, end: int) -> CsrMatrix:
    """Return the rows from `first` to `end` of ``R'R``, by this shard's rows alone: CSR [end - first, n]."""
    found = load_matrix(shard, by_item)[first:end] @ load_matrix(shard, name)
    found.sort_indices()
    return found


def cut_rows(first: int, cut: Cut, *parts: CsrMatrix) -> tuple[NDArray[Any], ...]:
    """Return what is left of the rows from `first` on of the sum: lengths, columns, values, and which are plain."""
    kept = cut_block(_sum(parts), first, cut)
    return (
        np.array([len(row.columns) for row in kept]),
        np.concatenate([row.columns for row in kept]),
        np.concatenate([row.values for row in kept]),
        np.array([row.plain for row in kept]),
    )


def dense_rows(*parts: CsrMatrix) -> FloatArray:
    """Return the sum, dense."""
    return np.asarray(_sum(parts).toarray(), np.float32)


def add(*parts: NDArray[Any]) -> NDArray[Any]:
    """Return the sum of the parts, from the first to the last."""
    total = parts[0].copy()
    for part in parts[1:]:
        total += part
    return total


def labels(shard: Shard, name: str) -> IntArray:
    """Return the connected component of each item by this shard's likes alone, [n]; -1 without likes."""
    matrix = load_matrix(shard, name)
    n_users, n_items = matrix.shape
    pointers = np.concatenate([matrix.indptr, np.full(n_items, matrix.indptr[-1])])
    edges = (np.ones(matrix.nnz, np.int8), matrix.indices + n_users, pointers)
    graph = sparse.csr_array(edges, shape=(n_users + n_items, n_users + n_items))
    _, found = csgraph.connected_components(graph, directed=False)
    liked = np.bincount(matrix.indices, minlength=n_items) > 0
    numbers = np.unique(found[n_users:][liked], return_inverse=True)[1]
    of_items = np.full(n_items, -1, np.int32)
    of_items[liked] = numbers
    return of_items


def component_sizes(shard: Shard, name: str, of_items: IntArray, count: int) -> IntArray:
    """Return the users and the entries of each component, [2, components]."""
    matrix = load_matrix(shard, name)
    having, component = _components_of_rows(matrix, of_items)
    lengths = np.diff(matrix.indptr)[having]
    users = np.bincount(component, minlength=count)
    return np.stack([users, np.bincount(component, lengths, minlength=count).astype(np.int64)])


def rows_of_components(
    shard: Shard, name: str, of_items: IntArray, wanted: NDArray[np.bool_]
) -> tuple[NDArray[Any], ...]:
    """Return the rows of the wanted components, and their numbers among all rows."""
    matrix = load_matrix(shard, name)
    having, component = _components_of_rows(matrix, of_items)
    own = having[wanted[component]]
    some = matrix[own]
    numbers = load(shard.path(_NUMBERS))["numbers"]
    return some.data, some.indices, some.indptr, numbers[own]


def _components_of_rows(matrix: CsrMatrix, of_items: IntArray) -> tuple[IntArray, IntArray]:
    """Return the rows with entries, and the component of each."""
    having = np.flatnonzero(np.diff(matrix.indptr))
    return having, of_items[matrix.indices[matrix.indptr[having]]]


def _bounded(shard: Shard, name: str, most: int) -> CsrMatrix:
    numbers = load(shard.path(_NUMBERS))["numbers"]
    return bounded(load_matrix(shard, name), most, numbers)


def _sum(parts: Sequence[CsrMatrix]) -> CsrMatrix:
    """Return the sum of matrices with sorted indices, from the first to the last."""
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def _threads() -> int:
    """Return how many threads a task may use, when the worker runs as many tasks as it has threads."""
    from distributed import get_worker

    tasks: int = get_worker().state.nthreads
    return max(cores() // tasks, 1)
