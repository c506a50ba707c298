"""The store's part that holds experiments."""

from __future__ import annotations

from typing import Protocol


class ExperimentStore(Protocol):
    """Experiments; `LikeStore.apply` writes their documents with the positions of their topic."""

    def experiments(self) -> dict[str, bytes]:
        """Return every stored experiment by name, running or stopped."""
