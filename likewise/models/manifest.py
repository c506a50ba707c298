"""What a model version says of itself: `manifest.json`."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from likewise.messages.announcements import Announcement
from likewise.ranking.recipe import Recipe

Count = Annotated[int, Meta(ge=0, le=2**62)]


class FileEntry(msgspec.Struct, frozen=True):
    """One file of a version: its size and its checksum."""

    bytes: Count
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a model version says of itself."""

    format: int
    version: str
    snapshot_at_ms: int
    """When the snapshot that the model was built from began (ms since the epoch)."""
    users: Count
    items: Count
    likes: Count
    """Entries of the interaction matrix: likes, and other pairs with a weighted signal."""
    typical_likes: Annotated[float, Meta(gt=0, le=2.0**62)] | None = None
    """The geometric mean of how many items a user likes; None in format 3, where it follows from the likes."""
    rank: Count
    """Dimensions of the item vectors: at most the recipe's, fewer on a tiny store."""
    indexed_dimensions: Count
    """The first dimensions of the item vectors, those that the item index is over."""
    recipe: Recipe
    build: dict[str, Any]
    """Seconds of each build step, how `ranker=auto` came to its choice, and `announce`: false, if it is held back."""
    weights: dict[str, float] = {}
    """The weight of each kind of signal in the interaction matrix, in addition to likes, which weigh 1."""
    files: dict[str, FileEntry]

    @property
    def held_back(self) -> bool:
        """Whether it was built not to be announced: it becomes current only if somebody names it."""
        return self.build.get("announce") is False

    def announcement(self) -> Announcement:
        """Return the announcement of this version to servers."""
        return Announcement(
            version=self.version,
            snapshot_at_ms=self.snapshot_at_ms,
            users=self.users,
            items=self.items,
            likes=self.likes,
            ranker=self.recipe.ranker,
        )
