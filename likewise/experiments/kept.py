"""What is kept of exposures and likes while they may count together."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from likewise.experiments.tally import latency_place
from likewise.messages.ids import ItemId

if TYPE_CHECKING:
    from likewise.messages.exposures import Exposure


class Shown(msgspec.Struct, frozen=True, array_like=True, order=True):
    """What is kept of an exposure. `latency` is its place in `VariantTally.latency`."""

    shown_at_ms: int
    recommendation_id: str
    items: tuple[ItemId, ...]
    variant: str = ""
    scenario: str = ""
    placed_by: tuple[int, ...] = ()
    latency: int = 0
    popular: int = 0


class Liked(msgspec.Struct, frozen=True, array_like=True, order=True):
    """A like; `recommendation_id` is empty if it names no list."""

    at_ms: int
    item_id: ItemId
    recommendation_id: str = ""


class Credited(NamedTuple):
    """A list, and the places of its items that likes are credited to, in order."""

    shown: Shown
    places: tuple[int, ...]


def shown_of(exposure: Exposure) -> Shown:
    """Return what is kept of an exposure."""
    return Shown(
        shown_at_ms=exposure.shown_at_ms,
        recommendation_id=exposure.recommendation_id,
        items=exposure.items,
        variant=exposure.variant or "",
        scenario=exposure.scenario or "",
        placed_by=exposure.placed_by,
        latency=latency_place(exposure.latency_ms),
        popular=exposure.popular,
    )
