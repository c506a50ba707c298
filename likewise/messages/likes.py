"""Likes of the likes topic with the recommendation that they name."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from likewise.errors import InvalidInputError
from likewise.messages.event_decoding import decode_event, recommendation_id_of
from likewise.messages.events import Like

if TYPE_CHECKING:
    from likewise.messages.ids import ItemId, UserId
    from likewise.records import Record


class NamedLike(NamedTuple):
    """A like; `recommendation_id` is the list that led to it, empty if the like names none."""

    user_id: UserId
    item_id: ItemId
    recommendation_id: str


def decode_like(record: Record) -> NamedLike | None:
    """Return the like that a record of the likes topic carries; None if it is no like. Raises nothing."""
    try:
        event = decode_event(record)
    except InvalidInputError:
        return None
    if not isinstance(event, Like):
        return None
    return NamedLike(event.user_id, event.item_id, recommendation_id_of(record) or "")
