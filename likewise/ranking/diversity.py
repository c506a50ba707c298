"""Diversity: a list whose items do not repeat one another, by maximal marginal relevance.

Of a pool of the best items, the next one on the list is always that of the highest::

    (1 - diversity) * score / best score  -  diversity * max over items j on the list of sim(i, j)

Carbonell and Goldstein, "The Use of MMR, Diversity-Based Reranking for Reordering Documents and
Producing Summaries", SIGIR 1998. The scores are divided by the best one, so that both terms are at
most 1; sim is the cosine under which the ranker itself compares items.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from likewise.ranking.array_types import CsrMatrix, FloatArray
    from likewise.ranking.group_limit import GroupLimit
    from likewise.ranking.model import Model

_SMALLEST_POOL = 100
# Each place of the list costs a pass over the whole pool: as much as the longest list needs.
_LARGEST_POOL = 1_000
# Of the longest vector in the pool: what is shorter has no direction but that of rounding errors.
_NO_VECTOR = 1e-4
_TINY = float(np.finfo(np.float32).tiny)


def pool_size(count: int) -> int:
    """Return how many of the best items a list of `count` is chosen from; at least `count`."""
    return max(count, min(max(_SMALLEST_POOL, 5 * count), _LARGEST_POOL))


def diversified(
    model: Model,
    rows: NDArray[np.intp],
    scores: FloatArray,
    *,
    count: int,
    diversity: float,
    groups: GroupLimit | None = None,
) -> NDArray[np.intp]:
    """Return up to `count` places of the pool in the order of the list.

    `rows` [P] are its items, best first, and `scores` [P] falls. The first stays first. Items
    without a positive score come last, in their order: they never move up for being dissimilar.
    `groups` takes the items, and an item of a full group is not chosen.
    """
    speaking = int((scores > 0).sum())
    pool = PoolVectors.of(model, rows[:speaking])
    room = None if groups is None else _Room(groups, rows[:speaking])
    chosen = _marginally_best(scores[:speaking], pool, count, diversity, room)
    others = np.arange(speaking, len(rows))
    if groups is not None:
        others = others[groups.admit(rows[speaking:], count - len(chosen))]
    return np.concatenate([chosen, others])[:count]


class _Room:
    """Which items of a pool have room in their group."""

    def __init__(self, groups: GroupLimit, rows: NDArray[np.intp]) -> None:
        self._groups = groups
        self._rows = rows
        self._codes = groups.codes[rows]
        self.closed = groups.closed(rows)

    def take(self, place: int) -> None:
        self._groups.admit(self._rows[place : place + 1], 1)
        code = int(self._codes[place])
        if self._groups.is_full(code):
            self.closed |= self._codes == code


@dataclass(frozen=True, slots=True)
class PoolVectors:
    """What the items of a pool are compared by."""

    unit: FloatArray | CsrMatrix
    """[P, d] float32, dense or CSR: of length 1, or 0 for an item without a vector."""
    known: NDArray[np.bool_]
    """[P] which items have one."""

    @classmethod
    def of(cls, model: Model, rows: NDArray[np.intp]) -> Self:
        """Return the vectors of these items.

        They are those whose inner products the spectral filter is made of, ``sqrt(h(s)) V``; where
        a model has no factors, the rows of its co-occurrence matrix.
        """
        if len(model.spectrum) and model.spectrum.any():
            vectors = model.item_factors[rows] * np.sqrt(np.maximum(model.spectrum, 0))
            lengths = np.sqrt(np.square(vectors).sum(axis=1))
            known, inverse = _inverse(lengths)
            return cls(vectors * inverse[:, None], known)
        links = model.cooccurrence[rows].astype(np.float32)
        known, inverse = _inverse(np.sqrt(links.power(2).sum(axis=1)))
        return cls(sparse.diags_array(inverse).tocsr() @ links, known)

    def similar_to(self, place: int) -> FloatArray:
        """Return the cosine of each item [P] to one of them.

        An item without a vector counts as similar to every other: nothing sets it apart.
        """
        if not self.known[place]:
            return np.ones(len(self.known), np.float32)
        one = self.unit[[place]]
        cosines = self.unit @ (one if isinstance(one, np.ndarray) else one.toarray())[0]
        return np.where(self.known, cosines, np.float32(1))


def _inverse(lengths: FloatArray) -> tuple[NDArray[np.bool_], FloatArray]:
    """Return which vectors have a length to speak of, and one over it, 0 for the others."""
    known = lengths > _NO_VECTOR * lengths.max(initial=0)
    return known, np.divide(1, lengths, out=np.zeros_like(lengths), where=known)


def _marginally_best(
    scores: FloatArray, pool: PoolVectors, count: int, diversity: float, room: _Room | None
) -> NDArray[np.intp]:
    """Return up to `count` places, greedily; ties go to the better score."""
    chosen: list[int] = []
    relevance = (1 - diversity) * scores / scores.max(initial=_TINY)
    if room is not None:
        relevance[room.closed] = -np.inf
    # Nothing is on the list yet, so the first is that of the best score, with diversity 1 as well.
    redundancy = np.full(len(scores), -1, np.float32)
    for _ in range(min(count, len(scores))):
        if chosen:
            np.maximum(redundancy, pool.similar_to(chosen[-1]), out=redundancy)
        best = int(np.argmax(relevance - diversity * redundancy))
        if relevance[best] == -np.inf:
            break
        chosen.append(best)
        relevance[best] = -np.inf
        if room is not None:
            room.take(best)
            relevance[room.closed] = -np.inf
    return np.array(chosen, np.intp)
