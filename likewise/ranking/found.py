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


class Rest(Protocol):
    """Orders the items of `only` that are not evidence."""

    def __call__(self) -> tuple[NDArray[np.intp], FloatArray]:
        """Return their rows and scores, 0 and below.

        First items that the model has no evidence for, the most popular ones first; then those that
        it has evidence against.
        """


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
    rest: Rest | None = None
    """Only for a query with `only` and `fill`."""
