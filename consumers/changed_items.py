"""The items of a folded batch. Each function looks at every like of the batch once, in C."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from likewise.messages.ids import ItemId, UserId
    from likewise.messages.order import UserState
    from likewise.store.port import Changes


def liked_items(changes: Changes) -> Counter[ItemId]:
    """Return the items that users like after the batch, and how many users of the batch."""
    added = [change.add for change in changes.users.values()]
    added += [_liked(state) for state in changes.scattered.values()]
    return Counter(chain.from_iterable(added))


def unliked_items(changes: Changes) -> set[ItemId]:
    """Return the items that users no longer like after the batch."""
    removed = [change.remove for change in changes.users.values() if change.remove]
    removed += [state.items.keys() - _liked(state) for state in changes.scattered.values()]
    return set().union(*removed)


def likes_of(changes: Changes, items: Collection[ItemId]) -> Iterator[tuple[ItemId, UserId]]:
    """Yield the likes of these items."""
    wanted = frozenset(items)
    for user_id, change in changes.users.items():
        for item_id in change.add & wanted:
            yield item_id, user_id
    for user_id, state in changes.scattered.items():
        for item_id in _liked(state) & wanted:
            yield item_id, user_id


def _liked(state: UserState) -> set[ItemId]:
    return {item_id for item_id, new in state.items.items() if new.liked}
