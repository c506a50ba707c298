"""What a user can have, for verification: a liked item, or a signal of a kind about an item."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

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
from likewise.messages.ids import ItemId, SignalKind
from likewise.store.port import UserChange

if TYPE_CHECKING:
    from collections.abc import Iterable

    from likewise.messages.events import Event
    from likewise.operations.expected_state import Difference
    from likewise.store.signals_port import SignalsOfUser


class Signalled(NamedTuple):
    """An item about which a signal holds."""

    kind: SignalKind
    item_id: ItemId

    def __str__(self) -> str:
        return f"{self.kind}:{self.item_id}"


Thing = ItemId | Signalled
"""A liked item is its id alone."""


def change_of(event: Event) -> tuple[Thing, bool] | None:
    """Return what the event is about, and whether it holds from then on; None if it is about everything."""
    match event:
        case ForgetUser() | MergeUsers():
            return None
        case Signal() | Unsignal():
            kind = SignalKind(sys.intern(event.kind))
            return Signalled(kind, ItemId(sys.intern(event.item_id))), isinstance(event, Signal)
        case Like() | Unlike() | RetireItem() | RestoreItem():
            return ItemId(sys.intern(event.item_id)), isinstance(event, Like | RetireItem)


def things(likes: Iterable[ItemId], signals: SignalsOfUser) -> set[Thing]:
    """Return what a user has, by the user's sets in the store."""
    found: set[Thing] = set(likes)
    for kind, items in signals.items():
        found.update(Signalled(kind, item) for item in items)
    return found


def liked(found: Iterable[Thing]) -> set[ItemId]:
    """Return the liked items."""
    return {ItemId(one) for one in found if isinstance(one, str)}


def signalled(found: Iterable[Thing]) -> list[Signalled]:
    """Return the signals."""
    return [one for one in found if isinstance(one, Signalled)]


def repairing(difference: Difference) -> UserChange:
    """Return the change that makes the stored sets right."""
    change = UserChange(add=liked(difference.missing), remove=liked(difference.extra))
    for kind, item_id in signalled(difference.missing):
        change.signal(kind).add.add(item_id)
    for kind, item_id in signalled(difference.extra):
        change.signal(kind).remove.add(item_id)
    return change
