"""Ids as apps have them, checked before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likewise.errors import InvalidInputError
from likewise.messages.ids import ItemId, UserId, parse_id

if TYPE_CHECKING:
    from collections.abc import Iterable

Id = str | int
"""An id as apps have it; integers become their decimal digits."""


def checked_id(field: str, raw: object) -> str:
    """Return the id as a string.

    Raises:
        InvalidInputError: it is not a valid id; the message names the field.
    """
    if isinstance(raw, bool) or not isinstance(raw, str | int | None):
        raise InvalidInputError("wrong_type", f"`{field}` is {raw!r}: neither text nor an integer")
    return parse_id(field, raw)


def checked_user_id(raw: Id) -> UserId:
    """Return the user id; see `checked_id`."""
    return UserId(checked_id("user_id", raw))


def checked_item_id(raw: Id) -> ItemId:
    """Return the item id; see `checked_id`."""
    return ItemId(checked_id("item_id", raw))


def checked_item_ids(field: str, raw: Iterable[Id]) -> list[str]:
    """Return the item ids.

    Raises:
        InvalidInputError: it is one string instead of several, or an id is invalid.
    """
    if isinstance(raw, str | bytes):  # its characters would pass for ids
        raise InvalidInputError("wrong_type", f"`{field}` takes several ids, not one string")
    return [checked_id(field, item) for item in raw]
