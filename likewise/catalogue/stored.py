"""Decodes stored items for the columns: the fields that filters know, and no others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from likewise.messages.ids import ItemId
from likewise.messages.items import Label, decode_stored_item

if TYPE_CHECKING:
    from likewise.catalogue.gathering import Item
    from likewise.messages.items import CatalogueItem


class FilteredItem(
    msgspec.Struct, frozen=True, gc=False, rename={"published_at_ms": "published_at"}
):
    """The part of a `likewise.messages.items.CatalogueItem` that filters know."""

    item_id: ItemId
    title: str | None = None
    categories: tuple[str, ...] = ()
    labels: dict[str, Label] = {}
    published_at_ms: int | None = None


_decode = msgspec.json.Decoder(FilteredItem).decode


def decode_for_filters(raw: bytes) -> tuple[ItemId, Item]:
    """Return what `decode_stored_item` returns, in half the time.

    Raises:
        InvalidInputError: the bytes are not an item.
    """
    item: FilteredItem | CatalogueItem
    try:
        item = _decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        item = decode_stored_item(raw)  # which knows more forms of times
    return item.item_id, item
