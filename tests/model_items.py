"""The items of a model, for tests that need no more of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likewise.messages.ids import ItemId, ItemRow

if TYPE_CHECKING:
    from collections.abc import Iterable


class ModelItems:
    """Items in the order of a model."""

    def __init__(self, item_ids: Iterable[ItemId]) -> None:
        self.item_ids = list(item_ids)
        self.item_rows = {one: ItemRow(row) for row, one in enumerate(self.item_ids)}
