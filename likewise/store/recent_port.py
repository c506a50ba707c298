"""The store's part that holds what was liked lately: likes of new items, and how often each item was liked.

Consumers write both, and how well the model predicted likes; servers read them. Nothing of it is part of the state that the log defines: losing it
costs recommendations of the last minutes, and no like.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from likewise.messages.ids import ItemId, UserId

NEW_LIKES_KEPT = 10_000
"""About so many likes of new items stay readable, the newest."""
TRENDING_KEPT = 10_000
"""So many items have a count of recent likes, those with the highest."""
FIRST = "0-0"
"""The cursor before the first like of a new item."""


@dataclass(slots=True)
class NewItemChanges:
    """What a batch changes about items that the current model does not have."""

    liked: list[tuple[ItemId, UserId]] = field(default_factory=list)
    unliked: set[ItemId] = field(default_factory=set)
    """Items that somebody no longer likes."""


class NewLike(NamedTuple):
    """A like of a new item. Without a user: somebody's like of the item was taken back or forgotten."""

    item_id: ItemId
    user_id: UserId | None


class NewLikes(NamedTuple):
    """Likes of new items, oldest first, and the cursor after them.

    With `gap` they are the oldest that are stored: the store was lost, and what was read before is void.
    """

    likes: list[NewLike]
    cursor: str
    gap: bool = False


class RecentStore(Protocol):
    """Likes of new items, decayed counts of recent likes, and how well these were predicted.

    `LikeStore.apply` writes the former with the likes, and erases those of a forgotten user.
    """

    def new_likes(self, after: str, limit: int) -> NewLikes:
        """Return up to `limit` likes of new items after the cursor."""

    def count_trending(
        self, likes: Mapping[ItemId, int], *, at_ms: int, now_ms: int, half_life_ms: int
    ) -> None:
        """Count likes that were made at `at_ms`, and keep the `TRENDING_KEPT` highest counts.

        Counts made with another half-life keep their value of this moment.
        """

    def trending(self, limit: int, *, now_ms: int) -> list[tuple[ItemId, float]]:
        """Return the items with the most recent likes, and how many that is.

        A like counts 1 at first and half of that after each half-life.
        """

    def note_quality(self, slot: int, measured: bytes) -> None:
        """Keep what a consumer has measured, in place of what the slot had."""

    def qualities(self) -> list[bytes]:
        """Return what every slot has, in no order."""
