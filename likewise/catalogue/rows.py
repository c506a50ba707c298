"""Which row of the columns each item has. Rows of removed items are used again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from likewise.messages.ids import ItemId


@dataclass(slots=True)
class Moves:
    """What a change of the catalogue does to its rows."""

    emptied: list[int] = field(default_factory=list)
    """The rows that an item had before which is changed or removed."""
    came: list[tuple[ItemId, int]] = field(default_factory=list)
    """The items that are new, and their rows."""
    went: list[tuple[ItemId, int]] = field(default_factory=list)
    """The items that are removed, and their rows, which a new item may have now."""


class RowTable:
    """Rows by item. Not thread-safe, except for reading `of`."""

    def __init__(self) -> None:
        """Start without items."""
        self.of: dict[ItemId, int] = {}
        self._free: list[int] = []

    @property
    def size(self) -> int:
        """The number of rows, in use or free."""
        return len(self.of) + len(self._free)

    def place(self, item_id: ItemId, moves: Moves) -> int:
        """Return the row of an item that is new or changed."""
        row = self.of.get(item_id)
        if row is not None:
            moves.emptied.append(row)
            return row
        row = self._free.pop() if self._free else len(self.of)
        self.of[item_id] = row
        moves.came.append((item_id, row))
        return row

    def remove(self, item_id: ItemId, moves: Moves) -> None:
        """Free the row of the item if it has one."""
        row = self.of.pop(item_id, None)
        if row is not None:
            moves.emptied.append(row)
            moves.went.append((item_id, row))
            self._free.append(row)
