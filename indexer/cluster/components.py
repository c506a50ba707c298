"""The connected components of likes on workers.

Each shard labels items by its own likes; labels that share an item are then joined here. Small components
are gathered and factorised in this process, as without a cluster; large ones stay where they are.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from indexer.cluster import tasks
from indexer.components import Component, components

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from distributed import Future
    from numpy.typing import NDArray

    from indexer.cluster.matrix import ShardedRows
    from indexer.rows import Matrix
    from likewise.ranking.array_types import CsrMatrix, FloatArray

GATHERED_LIKES = 1_000_000
"""Components with fewer likes are gathered."""
# And those of fewer users, whose matrix of users is smaller than that of items: `indexer.svd`.
_GATHERED_USERS = 3_000


def components_of(rows: ShardedRows) -> Iterator[Component[Matrix]]:
    """Yield the components by falling bound; those that stay on workers support `gram` and `item_gram` alone."""
    of_items = joined_labels(rows.crew.each(rows.part(tasks.labels)), rows.shape[1])
    n_components = int(of_items.max(initial=-1)) + 1

    def sizes_of(number: int) -> Future:
        sent = rows.crew.constant(of_items)
        return rows.part(tasks.component_sizes, sent, n_components)(number)

    users, likes = rows.crew.total(sizes_of) if n_components else np.zeros((2, 0), np.int64)
    small = (likes < GATHERED_LIKES) | (users < _GATHERED_USERS)
    # Taken out one after another: gathered rows are only needed if no larger component comes first.
    gathered = _gathered(rows, of_items, small) if small.any() else None
    rows.crew.forget_constants()
    few = iter(()) if gathered is None else components(gathered)
    large = _large(rows, of_items, np.flatnonzero(~small), users)
    return heapq.merge(
        cast("Iterator[Component[Matrix]]", few), large, key=lambda part: -part.bound
    )


def joined_labels(of_shards: Sequence[NDArray[np.integer]], n_items: int) -> NDArray[np.int32]:
    """Return the component of each item [n], -1 without likes, from those by each shard's likes alone."""
    starts = np.cumsum([n_items, *(int(labels.max(initial=-1)) + 1 for labels in of_shards)])
    pairs = [
        (np.flatnonzero(labels >= 0), labels[labels >= 0] + start)
        for labels, start in zip(of_shards, starts, strict=False)
    ]
    items, nodes = (np.concatenate(side) for side in zip(*pairs, strict=True))
    total = int(starts[-1])
    edges = (np.ones(len(items), np.int8), (items, nodes))
    graph = sparse.coo_array(edges, shape=(total, total))
    _, found = csgraph.connected_components(graph, directed=False)
    of_items = np.full(n_items, -1, np.int32)
    liked = np.unique(items)
    of_items[liked] = np.unique(found[liked], return_inverse=True)[1]
    return of_items


def _gathered(
    rows: ShardedRows, of_items: NDArray[np.int32], small: NDArray[np.bool_]
) -> CsrMatrix:
    """Return the rows of the small components, in the order of their numbers."""
    from indexer.cluster.matrix import stacked

    parts = rows.crew.each(
        lambda number: rows.part(tasks.rows_of_components, rows.crew.constant(of_items), small)(
            number
        )
    )
    return stacked([part[:3] for part in parts], [part[3] for part in parts], rows.shape[1])


def _large(
    rows: ShardedRows,
    of_items: NDArray[np.int32],
    wanted: NDArray[np.intp],
    users: NDArray[np.integer],
) -> Iterator[Component[Matrix]]:
    """Yield the components that stay on the workers, by falling bound."""
    if not len(wanted):
        return
    bounds = _bounds(rows, of_items)
    for label in wanted[np.argsort(-bounds[wanted], kind="stable")].tolist():
        items = np.flatnonzero(of_items == label)
        part = ComponentRows(rows, items, int(users[label]))
        # The factorisation asks for no more of a component than this has.
        yield Component(cast("Matrix", part), items, float(bounds[label]))


def _bounds(rows: ShardedRows, of_items: NDArray[np.int32]) -> FloatArray:
    """Return what no eigenvalue of each component's R'R exceeds: see `indexer.components`."""
    gram, ones = rows.gram(), np.ones((rows.shape[1], 1), np.float32)
    before = gram @ ones
    weights = gram @ before
    ratios = np.divide(weights, before, out=np.zeros_like(weights), where=before > 0)[:, 0]
    known = of_items >= 0
    bounds = np.zeros(int(of_items.max()) + 1, np.float32)
    np.maximum.at(bounds, of_items[known], ratios[known])
    traces = np.bincount(of_items[known], rows.diagonal()[known])
    return np.minimum(bounds, traces).astype(np.float32)


class ComponentRows:
    """One component of a matrix on workers: ``R'R`` restricted to its items, which it maps to themselves."""

    def __init__(self, rows: ShardedRows, items: NDArray[np.intp], n_users: int) -> None:
        self.shape = (n_users, len(items))
        self._rows = rows
        self._items = items

    def gram(self) -> ComponentGram:
        """See `Rows.gram`."""
        return ComponentGram(self._rows, self._items)

    def item_gram(self) -> FloatArray:
        """See `Rows.item_gram`."""
        return self.gram() @ np.eye(self.shape[1], dtype=np.float32)


class ComponentGram(NamedTuple):
    """``R'R`` restricted to the items of a component, as a linear map."""

    rows: ShardedRows
    items: NDArray[np.intp]

    @property
    def size(self) -> int:
        """The number of items."""
        return len(self.items)

    def __matmul__(self, block: FloatArray) -> FloatArray:
        """Return its product with a block, float32 [n, b]."""
        whole = np.zeros((self.rows.shape[1], block.shape[1]), np.float32)
        whole[self.items] = block
        return (self.rows.gram() @ whole)[self.items]
