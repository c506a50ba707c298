"""The connected components of the likes: items without a path of likes between them are unrelated.

``R'R`` is block-diagonal by them, and so are its eigenvectors, but a solver that sees the whole matrix does not
know it: rounding leaves a little of each component in the vectors of the others, and where eigenvalues are equal it
returns any mixture of their vectors. So each component is factorised alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from likewise.ranking.array_types import CsrMatrix, FloatArray


M_co = TypeVar("M_co", covariant=True)


class Component(NamedTuple, Generic[M_co]):
    """Users and items connected by likes, without likes to or from any others."""

    matrix: M_co
    """Its part of R."""
    items: NDArray[np.intp]
    """Its columns of R, ascending."""
    bound: float
    """No eigenvalue of its R'R is larger."""


def components(matrix: CsrMatrix) -> Iterator[Component[CsrMatrix]]:
    """Yield the components of a matrix without negative entries, CSR [m, n], by falling bound.

    Users and items without a like belong to none. A matrix of one component that leaves nothing out
    is yielded as it is, without a copy.
    """
    users, items = _labels(matrix)
    count = int(max(users.max(initial=-1), items.max(initial=-1))) + 1
    bounds = _bounds(matrix, items, count)
    if count == 1 and (items >= 0).all():
        yield Component(matrix, np.arange(len(items)), float(bounds[0]))
        return
    row_order, column_order = (np.argsort(labels, kind="stable") for labels in (users, items))
    places = np.empty(len(items), np.intp)
    places[column_order] = np.arange(len(items))
    by_component = matrix[row_order]
    columns = places[by_component.indices].astype(by_component.indices.dtype)
    row_ends, column_ends = (
        np.searchsorted(labels, np.arange(count + 1), sorter=order)
        for labels, order in ((users, row_order), (items, column_order))
    )
    for label in np.argsort(-bounds, kind="stable"):
        first, end = row_ends[label : label + 2]
        left, right = column_ends[label : label + 2]
        pointers = by_component.indptr[first : end + 1]
        likes = slice(pointers[0], pointers[-1])
        tables = (by_component.data[likes], columns[likes] - left, pointers - pointers[0])
        part = sparse.csr_array(tables, shape=(int(end - first), int(right - left)))
        yield Component(part, column_order[left:right], float(bounds[label]))


def _labels(matrix: CsrMatrix) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the component of each user [m] and item [n], from 0 on; -1 without likes."""
    n_users, n_items = matrix.shape
    total = n_users + n_items
    pointers = np.concatenate([matrix.indptr, np.full(n_items, matrix.indptr[-1])])
    edges = (np.ones(matrix.nnz), matrix.indices + n_users, pointers)
    graph = sparse.csr_array(edges, shape=(total, total))
    _, labels = csgraph.connected_components(graph, directed=False)
    alone = np.ones(total, np.bool_)
    alone[np.flatnonzero(np.diff(matrix.indptr))] = False
    alone[n_users + matrix.indices] = False
    numbers = np.cumsum(np.bincount(labels[~alone], minlength=total) > 0) - 1
    found = np.where(alone, -1, numbers[labels]).astype(np.int32)
    return found[:n_users], found[n_users:]


def _bounds(matrix: CsrMatrix, items: NDArray[np.int32], count: int) -> FloatArray:
    """Return what no eigenvalue of each component's R'R exceeds, float32 [components].

    The largest ``(S x)_i / x_i`` of a positive x bounds them (Collatz and Wielandt), as the trace of S does.
    """
    weights: FloatArray = np.ones(matrix.shape[1], np.float32)
    for _ in range(2):
        before, weights = weights, matrix.T @ (matrix @ weights)
    ratios = np.divide(weights, before, out=np.zeros_like(weights), where=before > 0)
    bounds = np.zeros(count, np.float32)
    known = items >= 0
    np.maximum.at(bounds, items[known], ratios[known])
    squares = np.bincount(matrix.indices, matrix.data**2, minlength=len(items))
    traces = np.bincount(items[known], squares[known], minlength=count)
    return np.minimum(bounds, traces).astype(np.float32)
