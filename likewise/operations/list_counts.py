"""What is counted of the lists outside experiments, in total, by scenario and by place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from likewise.experiments.runs import OUTSIDE
from likewise.operations.tallies import tally_outside_experiments

if TYPE_CHECKING:
    from likewise.experiments.tally import VariantTally
    from likewise.store.attribution_port import AttributionStore


class PlaceCounts(msgspec.Struct, frozen=True):
    """The items that were shown at one place."""

    place: int
    """1 is the top; 20 has all later places, too."""
    shown: int
    likes: int


class ListCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Lists and the likes that followed them."""

    scenario: str | None = None
    """None: the lists of all requests, with a scenario and without one."""
    lists: int
    shown: int
    """Items shown."""
    likes: int
    """Likes of the lists' items; a pair of a list and an item counts once."""
    hit_rate: float | None
    """The share of the lists with at least one like; None without lists."""
    places: list[PlaceCounts]
    """By place from the top, up to the last one in use."""


class OutsideExperiments(msgspec.Struct, frozen=True):
    """The lists of users outside experiments."""

    total: ListCounts
    scenarios: list[ListCounts]
    """By scenario, the one with the most lists first."""


def outside_experiments(store: AttributionStore) -> OutsideExperiments:
    """Return the counts of the lists outside experiments.

    Raises:
        TransientError: the store cannot be reached.
    """
    tally = tally_outside_experiments(store)
    scenarios = [_counts(one[OUTSIDE], scenario) for scenario, one in tally.by_scenario.items()]
    return OutsideExperiments(
        _counts(tally.variants[OUTSIDE], None),
        sorted(scenarios, key=lambda one: (-one.lists, one.scenario or "")),
    )


def _counts(tally: VariantTally, scenario: str | None) -> ListCounts:
    used = max((place for place, shown in enumerate(tally.shown_at, 1) if shown), default=0)
    return ListCounts(
        scenario=scenario,
        lists=tally.lists,
        shown=tally.shown,
        likes=tally.likes,
        hit_rate=tally.hits / tally.lists if tally.lists else None,
        places=[
            PlaceCounts(place, shown, likes)
            for place, (shown, likes) in enumerate(
                zip(tally.shown_at[:used], tally.likes_at[:used], strict=True), 1
            )
        ],
    )
