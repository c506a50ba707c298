"""What a scan or a search finds for a query, and the list that is made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from likewise.ranking.array_types import FloatArray

NO_SCORES = np.zeros(0, np.float32)


class RankedRows(NamedTuple):
    """The rows of an answer and their scores, in the order to show.

    The model has evidence for the first `known` ones; popular items follow, or with `only` the rest
    of the list that was asked for.
    """

    rows: NDArray[np.intp]
    scores: FloatArray
    known: int


class More(Protocol):
    """Finds more items for the same query."""

    def __call__(self, count: int, without: NDArray[np.bool_], /) -> Found:
        """Return the best `count` items, except those of the mask [n]."""


def _no_more(count: int, _: NDArray[np.bool_], /) -> Found:
    return Found(np.zeros(0, np.intp), NO_SCORES, count)


class Found(NamedTuple):
    """The best items for a query that are evidence, best first."""

    rows: NDArray[np.intp]
    scores: FloatArray
    asked: int
    """How many were asked for: if there are fewer, there are no others."""
    more: More = _no_more
    """Only queries with `max_per` use it."""
    rest: tuple[NDArray[np.intp], FloatArray] | None = None
    """With `only` and `fill`: the others of the list and their scores, 0 and below, in order."""
