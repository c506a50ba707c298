"""Items of the catalogue: search, one item, and publishing what an item is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from gateway.answers import json_answer
from gateway.endpoint import Call, Endpoint
from gateway.endpoints.paging import Cursor, Int64, cursor_of, place_of
from gateway.item_fields import Item, likes_of, shown_items, stored_fields
from gateway.openapi.wire import ITEM
from gateway.problem import Problem
from gateway.search_results import Place
from likewise.messages.items import MAX_ITEM_BYTES, CatalogueItem, decode_item
from likewise.records import Unsent

if TYPE_CHECKING:
    from starlette.responses import Response

    from gateway.search_results import Result

_MOST = 100


class ItemsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which items to list."""

    q: Annotated[str, Meta(max_length=200)] | None = None
    """Words of the title, as far as they are typed. Without it, the most liked items come first."""
    category: Annotated[str, Meta(max_length=1_000)] | None = None
    """Only items of this category."""
    limit: Annotated[int, Meta(ge=1, le=_MOST)] = 24
    cursor: Cursor | None = None
    """The `cursor` of the page before."""


class ItemPage(msgspec.Struct, frozen=True):
    """A page of items."""

    items: list[Item]
    cursor: str | None
    """For the next page; null on the last one."""


class CategoriesQuery(msgspec.Struct, frozen=True, kw_only=True):
    """How many categories to list."""

    limit: Annotated[int, Meta(ge=1, le=1_000)] = 100


class CategoryCount(msgspec.Struct, frozen=True):
    """A category, and how many items name it."""

    name: str
    items: int


class ItemDetails(Item, frozen=True, kw_only=True, rename={"published_at_ms": "published_at"}):
    """An item, and whether it can be recommended."""

    known: bool
    """Whether the current model knows it."""
    retired: bool
    """Whether it is recommended to nobody."""


class PublishedDocument(msgspec.Struct, frozen=True):
    """The position of the record in its topic."""

    position: str


async def _items(call: Call) -> Response:
    query: ItemsQuery = call.query
    after = place_of(query.cursor, tuple[Int64, Int64])
    found = await call.gateway.run(_found, call, None if after is None else Place(*after))
    items = await shown_items(call.gateway, [one.item_id for one in found])
    more = len(found) == query.limit
    return json_answer(ItemPage(items, cursor_of(found[-1].place) if more else None))


def _found(call: Call, after: Place | None) -> list[Result]:
    gateway, query = call.gateway, call.query
    model = gateway.models.current().model
    return gateway.search.find(
        gateway.catalogue.view(model),
        model,
        text=query.q,
        category=query.category,
        limit=query.limit,
        after=after,
    )


async def _categories(call: Call) -> Response:
    gateway = call.gateway
    model = gateway.models.current().model
    counts = await gateway.run(lambda: gateway.catalogue.view(model).categories())
    return json_answer([CategoryCount(*each) for each in counts[: call.query.limit]])


async def _item(call: Call) -> Response:
    gateway, item_id = call.gateway, call.item_id()
    model = gateway.models.current().model
    [stored], retired = await gateway.run(
        lambda: (gateway.store.catalogue_get([item_id]), gateway.store.retired()[1])
    )
    known = item_id in model.item_rows
    if stored is None and not known:
        raise Problem(
            "unknown_item", "neither the catalogue nor the current model has this item", status=404
        )
    return json_answer(
        ItemDetails(
            item_id=item_id,
            likes=likes_of(model, item_id),
            known=known,
            retired=item_id in retired,
            **stored_fields(stored),
        )
    )


async def _put(call: Call) -> Response:
    item_id = call.item_id()
    item = decode_item(Unsent(call.body, item_id.encode()))  # as the consumers will
    if not isinstance(item, CatalogueItem) or item.item_id != item_id:
        raise Problem("key_mismatch", "`item_id` is not the id in the path", field="item_id")
    return json_answer(PublishedDocument(str(await call.gateway.events.put_item(item))))


async def _delete(call: Call) -> Response:
    position = await call.gateway.events.remove_item(call.item_id())
    return json_answer(PublishedDocument(str(position)))


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/v1/items",
        handler=_items,
        summary="Find items by title and category, or list the most liked.",
        description=(
            "With `q`, finds titles as they are typed: case, accents and punctuation do not matter. "
            "First come titles that equal the text, then those that begin with it, have a word that "
            "begins with it, have a word for each of its words, and contain it; among those, the items "
            "that most users like. An item that the model knows is also found by its exact id. Without `q` "
            "and `category`, items that only the model knows are listed, too. An item is found within a "
            "second after it was put."
        ),
        tag="items",
        query=ItemsQuery,
        answer=ItemPage,
        errors=("invalid_cursor",),
    ),
    Endpoint(
        method="GET",
        path="/v1/categories",
        handler=_categories,
        summary="List the categories, those of most items first.",
        tag="items",
        query=CategoriesQuery,
        answer=list[CategoryCount],
    ),
    Endpoint(
        method="GET",
        path="/v1/items/{item_id}",
        handler=_item,
        summary="Show an item.",
        description="Items whose ids are `popular`, `trending` and `new` have no page of their own: these paths list others.",
        tag="items",
        answer=ItemDetails,
        errors=("unknown_item",),
    ),
    Endpoint(
        method="PUT",
        path="/v1/items/{item_id}",
        handler=_put,
        summary="Publish what an item is.",
        description="Replaces all that was known about the item. Returns once Kafka has the record.",
        tag="items",
        role="write",
        body=ITEM,
        raw_body=True,
        answer=PublishedDocument,
        max_body=MAX_ITEM_BYTES,
        errors=("invalid_label", "invalid_published_at", "key_mismatch", "too_large"),
    ),
    Endpoint(
        method="DELETE",
        path="/v1/items/{item_id}",
        handler=_delete,
        summary="Remove an item from the catalogue.",
        description="Its likes stay, and it can still be recommended unless it is retired.",
        tag="items",
        role="write",
        answer=PublishedDocument,
    ),
)
