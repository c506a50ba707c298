"""Pages of lists: the parameters `limit` and `cursor`, and cursors, which clients pass on as they are."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from gateway.problem import Problem

T = TypeVar("T")

Cursor = Annotated[str, Meta(max_length=1_000)]
Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]


def cursor_of(place: Any) -> str:
    """Return the cursor for a place in a list, which is made of numbers and strings."""
    return urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def place_of(cursor: str | None, kind: type[T]) -> T | None:
    """Return the place of a cursor; None without one.

    Raises:
        Problem: the API has not issued it for this list.
    """
    if cursor is None:
        return None
    try:
        raw = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        return msgspec.json.decode(raw, type=kind)
    except (ValueError, msgspec.MsgspecError, RecursionError) as error:
        raise Problem(
            "invalid_cursor", "`cursor` is not one that this list has returned", field="cursor"
        ) from error
