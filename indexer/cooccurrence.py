"""The item-item similarity of co-occurrence, cut to the strongest neighbours of each item."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    from likewise.ranking.model import FloatArray

# Rows of the product held at once; bounds memory on catalogues whose product is nearly dense.
_ROWS_PER_BLOCK = 1_000


def similar_items(
    user_items: Any, query_weights: FloatArray, score_weights: FloatArray, *, neighbours: int
) -> Any:
    """Return ``diag(query_weights) (X' X) diag(score_weights)`` without its diagonal, CSR [n, n].

    `user_items` is X, CSR [m, n], already scaled by user; of each row only the `neighbours`
    largest entries stay. Column indices are sorted.
    """
    by_item = user_items.T.tocsr()
    n_items = user_items.shape[1]
    blocks = [
        _strongest(_block(by_item, user_items, start, query_weights, score_weights), neighbours)
        for start in range(0, n_items, _ROWS_PER_BLOCK)
    ]
    if not blocks:
        return sparse.csr_array((0, 0), dtype=np.float32)
    return sparse.vstack(blocks, format="csr").astype(np.float32)


def _block(
    by_item: Any, user_items: Any, start: int, query_weights: FloatArray, score_weights: FloatArray
) -> Any:
    rows = slice(start, min(start + _ROWS_PER_BLOCK, by_item.shape[0]))
    product = (by_item[rows] @ user_items).tocsr()
    row_of = np.repeat(np.arange(rows.start, rows.stop), np.diff(product.indptr))
    product.data *= query_weights[row_of] * score_weights[product.indices]
    product.data[row_of == product.indices] = 0.0
    product.eliminate_zeros()
    return product


def _strongest(rows: Any, neighbours: int) -> Any:
    """Return the rows with all but their `neighbours` largest entries dropped."""
    kept = np.zeros(rows.nnz, bool)
    for begin, end in zip(rows.indptr[:-1], rows.indptr[1:], strict=True):
        if end - begin <= neighbours:
            kept[begin:end] = True
        else:
            values = rows.data[begin:end]
            kept[begin + np.argpartition(-values, neighbours - 1)[:neighbours]] = True
    lengths = np.add.reduceat(np.append(kept, False), rows.indptr[:-1]) if rows.shape[0] else kept
    lengths = np.where(np.diff(rows.indptr) > 0, lengths, 0)
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    cut = sparse.csr_array((rows.data[kept], rows.indices[kept], indptr), shape=rows.shape)
    cut.sort_indices()
    return cut
