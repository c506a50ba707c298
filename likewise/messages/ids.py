"""Identifiers: strings outside a model, row numbers inside; different types, so they can't be mixed up."""

from __future__ import annotations

from typing import NewType

from likewise.errors import InvalidInputError

UserId = NewType("UserId", str)
ItemId = NewType("ItemId", str)
ItemRow = NewType("ItemRow", int)
"""The row of an item in one model's tables; means nothing in another model."""

MAX_ID_BYTES = 256


def parse_user_id(raw: str | int | None) -> UserId:
    """Return the user id in a message; see `parse_id`."""
    return UserId(parse_id("user_id", raw))


def parse_item_id(raw: str | int | None, field: str = "item_id") -> ItemId:
    """Return the item id in a message; see `parse_id`."""
    return ItemId(parse_id(field, raw))


def parse_id(field: str, raw: str | int | None) -> str:
    """Return the id as a string of 1 to 256 UTF-8 bytes; integers become their decimal digits.

    Raises:
        InvalidInputError: missing, empty, too long, or not encodable as UTF-8.
    """
    if raw is None:
        raise InvalidInputError("missing_field", f"`{field}` is missing")
    text = raw if isinstance(raw, str) else str(raw)
    if not text:
        raise InvalidInputError("invalid_id", f"`{field}` is empty")
    if len(text) > MAX_ID_BYTES or (
        not text.isascii() and _utf8_length(field, text) > MAX_ID_BYTES
    ):
        raise InvalidInputError("invalid_id", f"`{field}` is longer than {MAX_ID_BYTES} bytes")
    return text


def _utf8_length(field: str, text: str) -> int:
    try:
        return len(text.encode())
    except UnicodeEncodeError as error:
        raise InvalidInputError(
            "invalid_id", f"`{field}` contains a lone surrogate, which UTF-8 can't encode"
        ) from error
