"""The item index: what a search of a large catalogue finds near items with, behind one port."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal, Protocol

from likewise.ranking.annoy_items import AnnoyItems

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from likewise.ranking.array_types import FloatArray
    from likewise.settings.types import IndexChoice

IndexKind = Literal["annoy", "faiss"]

# Up to here scoring every item costs no more than the search for candidates: docs/ranking.md.
EXACT_ITEMS_LIMIT = 200_000
# Fewer vectors do not train the codes of faiss.
_FEWEST_FOR_FAISS = 1_024


class ItemIndex(Protocol):
    """Finds the items with the largest inner products. Several threads may search it at once."""

    @property
    def dimensions(self) -> int:
        """How many of the first dimensions of the item vectors are indexed."""

    @property
    def precise(self) -> bool:
        """Whether it finds nearly all near items; otherwise the links have to make up for it."""

    def near(
        self,
        vectors: FloatArray,
        wanted: int,
        *,
        allowed: NDArray[np.bool_] | None = None,
        alone: bool = False,
    ) -> list[NDArray[np.intp]]:
        """Return the rows of about `wanted` near items for each query vector, [B, `dimensions`].

        With a mask `allowed` [n], searches further, to find so many of the items allowed; others may be
        among them. `alone`: no links help, so it searches more thoroughly.
        """

    def save(self, directory: Path) -> None:
        """Write the files of the index into the directory.

        Raises:
            OSError: the disk does not take them.
        """


def kind_for(choice: IndexChoice, n_items: int) -> IndexKind:
    """Return which index to build for so many items; `auto` is faiss where it is installed and used."""
    if choice == "annoy" or n_items < _FEWEST_FOR_FAISS:
        return "annoy"
    if choice == "faiss":
        return "faiss"
    return "faiss" if n_items > EXACT_ITEMS_LIMIT and faiss_is_installed() else "annoy"


def faiss_is_installed() -> bool:
    """Return whether the extra `search` is installed, without importing it."""
    return find_spec("faiss") is not None


def build_item_index(
    item_factors: FloatArray,
    score_weights: FloatArray,
    kind: IndexKind,
    *,
    linked: bool,
    trees: int,
    seed: int,
) -> ItemIndex:
    """Return an index over the item vectors [n, d] times their score weights [n].

    `linked` says that the model has links, too. The same arguments give the same index.

    Raises:
        ModuleNotFoundError: faiss is not installed.
    """
    if kind == "faiss":
        from likewise.ranking.quantised import QuantisedItems

        return QuantisedItems.build(item_factors, score_weights, seed=seed)
    return AnnoyItems.build(item_factors, score_weights, linked=linked, trees=trees, seed=seed)
