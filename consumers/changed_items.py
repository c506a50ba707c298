"""The items of a folded batch, user by user."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from likewise.messages.ids import ItemId, UserId
    from likewise.store.port import Changes


def changed_items(changes: Changes) -> Iterator[tuple[UserId, set[ItemId], set[ItemId]]]:
    """Yield each user with the items that they like and no longer like after the batch."""
    for user_id, change in changes.users.items():
        yield user_id, change.add, change.remove
    for user_id, state in changes.scattered.items():
        liked = {item for item, new in state.items.items() if new.liked}
        yield user_id, liked, state.items.keys() - liked
