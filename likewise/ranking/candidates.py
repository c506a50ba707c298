"""Large catalogues: score a few hundred candidates exactly instead of every item.

Candidates come from both parts of the score: Annoy over the item vectors gives those of the
spectral part (maximum inner product), the rows of the co-occurrence matrix give the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from likewise.ranking import spectral
from likewise.ranking.top import best_columns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from likewise.ranking.model import FloatArray, Model

# Candidates from each part, beyond those that are left out. On data sets of 17,000 to 41,000 items
# they held .83 to .99 of the exact 20 best: docs/ranking.md.
_CANDIDATES = 400


def best(
    model: Model, likes: Any, leave_out: list[NDArray[np.intp]], counts: list[int]
) -> Iterator[tuple[NDArray[np.intp], FloatArray]]:
    """Yield the rows of the best items and their scores, best first, for each query.

    `likes` is CSR [B, n]; `leave_out` and `counts` hold one entry a query.
    """
    vectors = spectral.fold_in(model, likes)
    linked = (likes @ model.cooccurrence).tocsr()
    for query, (left_out, count) in enumerate(zip(leave_out, counts, strict=True)):
        wanted = max(_CANDIDATES, 4 * count) + len(left_out)
        rows = linked.indices[linked.indptr[query] : linked.indptr[query + 1]]
        values = linked.data[linked.indptr[query] : linked.indptr[query + 1]]
        strongest = best_columns(values, wanted)
        near = np.zeros(0, np.intp)
        if len(model.spectrum):
            near, _ = model.item_index.nearest(vectors[query], wanted)
        found = np.setdiff1d(np.union1d(rows[strongest], near), left_out)
        scores = (model.item_factors[found] @ vectors[query]) * model.score_weights[found]
        by_row = dict(zip(rows.tolist(), values.tolist(), strict=True))
        scores += np.array([by_row.get(row, 0.0) for row in found.tolist()], np.float32)
        places = best_columns(scores, count)
        yield found[places], scores[places]
