"""The catalogue fields that requests want with each item, read for the items of one batch together."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import structs

from likewise.errors import InvalidInputError
from likewise.messages.dead_letters import DeadLetter
from likewise.messages.items import decode_stored_item
from likewise.messages.replies import Recommendations

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from likewise.messages.ids import ItemId
    from serving.outgoing import Reply

    Read = Callable[[list[ItemId]], Sequence[bytes | None]]
    Outgoing = list[Reply | DeadLetter]

_LABELS = "labels."


def asks_for_fields(outgoing: Outgoing) -> bool:
    """Whether any of the replies is to hold fields."""
    return any(not isinstance(one, DeadLetter) and one.fields for one in outgoing)


def with_fields(outgoing: Outgoing, read: Read) -> Outgoing:
    """Return the replies with the fields that their requests want.

    An item that the catalogue does not have gets none. `read` is called once, with each item once.
    """
    wanted = {item.item_id: None for one in outgoing for item in _items_with_fields(one)}
    ids = list(wanted)
    documents = dict(zip(ids, map(_document, read(ids)), strict=True))
    return [_filled_in(one, documents) for one in outgoing]


def chosen(document: Mapping[str, Any], fields: Sequence[str]) -> dict[str, Any]:
    """Return the requested fields that the item has. Other names are looked up among its labels."""
    labels: Mapping[str, Any] = document.get("labels", {})
    found = {}
    for name in fields:
        if name in document:
            found[name] = document[name]
        elif name in labels:
            found[name] = labels[name]
        elif (label := name.removeprefix(_LABELS)) != name and label in labels:
            found[name] = labels[label]
    return found


def _items_with_fields(one: Reply | DeadLetter) -> Sequence[Any]:
    if isinstance(one, DeadLetter) or not one.fields or not isinstance(one.body, Recommendations):
        return ()
    return one.body.items


def _document(stored: bytes | None) -> Mapping[str, Any]:
    """Return the item as it is written in JSON; empty if there is none that can be read."""
    if stored is not None:
        with suppress(InvalidInputError):
            found: dict[str, Any] = msgspec.to_builtins(decode_stored_item(stored))
            return found
    return {}


def _filled_in(
    one: Reply | DeadLetter, documents: Mapping[ItemId, Mapping[str, Any]]
) -> Reply | DeadLetter:
    items = _items_with_fields(one)
    if not items or isinstance(one, DeadLetter):
        return one
    with_their_fields = tuple(
        structs.replace(item, fields=chosen(documents[item.item_id], one.fields)) for item in items
    )
    return replace(one, body=structs.replace(one.body, items=with_their_fields))
