"""Folding: a batch of events becomes one change for each user and item."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likewise.messages.events import (
    ForgetUser,
    Like,
    MergeUsers,
    RestoreItem,
    RetireItem,
    Signal,
    Unlike,
    Unsignal,
)
from likewise.store.port import Changes, UserChange

if TYPE_CHECKING:
    from collections.abc import Iterable

    from likewise.messages.events import Event


def fold(events: Iterable[Event]) -> Changes:
    """Return the changes that the events make, in their order.

    Applying it gives the same state as applying the events one by one, and applying it again
    changes nothing. So like, unlike, like of one item in one batch is a single addition. Of a merge,
    only what it means for the guest: see `consumers.merging`.
    """
    changes = Changes()
    for event in events:
        match event:
            case Like():  # by far the most frequent: create no unused default, unpack no fields
                change = changes.users.get(event.user_id)
                if change is None:
                    change = changes.users[event.user_id] = UserChange()
                change.add.add(event.item_id)
                change.remove.discard(event.item_id)
            case Unlike(user_id, item_id):
                change = changes.users.setdefault(user_id, UserChange())
                change.add.discard(item_id)
                change.remove.add(item_id)
            case Signal(user_id, item_id, kind):
                signals = changes.users.setdefault(user_id, UserChange()).signal(kind)
                signals.add.add(item_id)
                signals.remove.discard(item_id)
                changes.kinds.add(kind)
            case Unsignal(user_id, item_id, kind):
                signals = changes.users.setdefault(user_id, UserChange()).signal(kind)
                signals.add.discard(item_id)
                signals.remove.add(item_id)
            case ForgetUser(user_id) | MergeUsers(user_id):
                changes.users[user_id] = UserChange(forget=True)
            case RetireItem(item_id):
                changes.retire.add(item_id)
                changes.restore.discard(item_id)
            case RestoreItem(item_id):
                changes.restore.add(item_id)
                changes.retire.discard(item_id)
    return changes
