"""Keeps item vectors of one build, to start the factorisation of the next."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from likewise.messages.ids import ItemId
    from likewise.ranking.array_types import FloatArray
    from likewise.ranking.recipe import Recipe

# If less than this share of the catalogue has old vectors, they are no good start.
_LEAST_KNOWN = 0.5


class WarmStart:
    """Remembers the item vectors of the last factorisation, and hands them to the next one.

    They make it quicker and change nothing else: it stops at the same tolerance. It is held in memory
    by a process that builds repeatedly, so its first build is a cold one. Only the choice of `ranker=auto`
    outlasts a restart (`indexer.choice.last_choice`).
    """

    def __init__(self) -> None:
        self.recipe: Recipe | None = None
        """What `ranker=auto` chose in the last build, so that the next one does not change it without need."""
        self._last: _Remembered | None = None

    def vectors(self, item_ids: list[ItemId], recipe: Recipe) -> FloatArray | None:
        """Return the last vectors in the order of these items [n, d], zero for new ones.

        None if they can't be used: there was no build yet, the recipe has another matrix or rank, or
        fewer than half of the items are known.
        """
        if self._last is None or self._last.kind != _kind(recipe):
            return None
        rows = {item_id: row for row, item_id in enumerate(self._last.item_ids)}
        found = np.array([rows.get(item_id, -1) for item_id in item_ids], np.intp)
        known = found >= 0
        if known.sum() < _LEAST_KNOWN * len(item_ids):
            return None
        vectors = np.zeros((len(item_ids), self._last.vectors.shape[1]), np.float32)
        vectors[known] = self._last.vectors[found[known]]
        return vectors

    def remember(self, item_ids: list[ItemId], recipe: Recipe, vectors: FloatArray) -> None:
        """Keep these vectors [n, d], which were made under the recipe, in place of the last ones."""
        self._last = _Remembered(_kind(recipe), item_ids, vectors)


class _Remembered(NamedTuple):
    kind: tuple[float, float, int]
    item_ids: list[ItemId]
    vectors: FloatArray


def _kind(recipe: Recipe) -> tuple[float, float, int]:
    """Return the parameters of the recipe that the vectors depend on."""
    return recipe.user_exponent, recipe.item_exponent, recipe.rank
