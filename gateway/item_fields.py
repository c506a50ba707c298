"""Items as the API shows them: what the catalogue knows, and how many users like them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from likewise.errors import InvalidInputError
from likewise.messages.ids import ItemId
from likewise.messages.items import Label, decode_stored_item

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.gateway import Gateway
    from likewise.ranking.model import Model


class Item(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    rename={"published_at_ms": "published_at"},
):
    """An item: what the catalogue knows about it, and how many users like it."""

    item_id: ItemId
    likes: int
    """How many users like it, or have a weighted signal for it, in the current model."""
    title: str | None = None
    image_url: str | None = None
    url: str | None = None
    categories: tuple[str, ...] = ()
    labels: dict[str, Label] = {}
    published_at_ms: int | None = None
    """In ms since the epoch."""


def likes_of(model: Model, item_id: ItemId) -> int:
    """Return how many users like the item in the model; 0 for an item that it does not know."""
    row = model.item_rows.get(item_id)
    return 0 if row is None else int(model.item_counts[row])


def stored_fields(stored: bytes | None) -> dict[str, Any]:
    """Return the fields of a stored item; none without one, or if it cannot be read."""
    if stored is None:
        return {}
    try:
        item = decode_stored_item(stored)
    except InvalidInputError:
        return {}
    fields = msgspec.structs.asdict(item)
    del fields["item_id"]
    return fields


async def shown_items(gateway: Gateway, item_ids: Sequence[ItemId]) -> list[Item]:
    """Return the items in this order, in one round trip to the store.

    Raises:
        TransientError: the store cannot be reached.
    """
    if not item_ids:
        return []
    model = gateway.models.current().model
    stored = await gateway.run(gateway.store.catalogue_get, item_ids)
    return [
        Item(item_id=item_id, likes=likes_of(model, item_id), **stored_fields(document))
        for item_id, document in zip(item_ids, stored, strict=True)
    ]
