"""Pins: items in exact places of an answer, whatever the model says about them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from likewise.messages.ids import ItemId
    from likewise.ranking.queries import Query

    Pins = tuple[tuple[ItemId, int], ...]

_Item = TypeVar("_Item")


def set_aside(query: Query, retired: Collection[ItemId]) -> Query:
    """Return the query with the pins that may be shown, and without these items in the rest of it.

    A pin of an item that is banned, retired or disliked is dropped, as is one beyond the last place.
    """
    pins = tuple(pin for pin in query.pins if _may_be_shown(query, retired, pin))
    pinned = [item for item, _ in pins]
    banned = frozenset(query.banned).union(pinned) if pins else query.banned
    return replace(query, pins=pins, banned=banned, count=query.count - len(pins))


def _may_be_shown(query: Query, retired: Collection[ItemId], pin: tuple[ItemId, int]) -> bool:
    item, place = pin
    disliked = query.weights is not None and query.weights.get(item, 0) < 0
    return place <= query.count and not (disliked or item in query.banned or item in retired)


def inserted(items: Sequence[_Item], pinned: Sequence[tuple[_Item, int]]) -> list[_Item]:
    """Return the items with each pinned one in its place, from 1; at the end if there are too few."""
    merged = list(items)
    for item, place in sorted(pinned, key=lambda pin: pin[1]):
        merged.insert(place - 1, item)
    return merged
