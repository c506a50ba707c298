"""Tallies: what experiments count, as integers that Redis keeps in the fields of a HASH.

A field is named `scenario/variant/count` or `scenario/variant/count/position`; the scenario is empty in
the counts over all requests, and the variant is empty outside experiments.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

LATENCY_BOUNDS_MS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000)
"""Upper bounds, inclusive; a last count has what took longer."""
PLACES: Final = 20
"""Places of a list that are counted one by one; later places are in the last count."""
CROSS: Final = "cross"
"""The field of `ExperimentTally.cross`."""

Fields = dict[str, int]


class VariantTally(msgspec.Struct):
    """The counts of one variant, over all requests or those of one scenario."""

    users: int = 0
    """Users with at least one list. Not counted outside experiments, as `n2`, `ny` and `y2`."""
    lists: int = 0
    shown: int = 0
    """Items shown; of interleaved lists, those that this variant placed."""
    likes: int = 0
    """Credited pairs of a list and an item; of interleaved lists, items that this variant placed."""
    hits: int = 0
    """Lists with at least one credited pair."""
    n2: int = 0
    """The sum over users of n², where n is the number of the user's lists."""
    ny: int = 0
    """The sum over users of n·y, where y is the number of the user's credited pairs."""
    y2: int = 0
    """The sum over users of y²."""
    popular: int = 0
    """The sum of `Exposure.popular`; split experiments only."""
    shown_at: list[int] = msgspec.field(default_factory=lambda: [0] * PLACES)
    """Items shown by place, from the top."""
    likes_at: list[int] = msgspec.field(default_factory=lambda: [0] * PLACES)
    """Credited pairs by place of the item."""
    latency: list[int] = msgspec.field(default_factory=lambda: [0] * (len(LATENCY_BOUNDS_MS) + 1))
    """Lists by latency; see `LATENCY_BOUNDS_MS`."""


class ExperimentTally(msgspec.Struct):
    """The counts of an experiment, or of the lists outside experiments, whose variant is the empty string."""

    variants: dict[str, VariantTally] = {}
    """Every variant, in the order of the definition."""
    cross: int = 0
    """Interleaved: the sum over users of the product of their credited pairs for the two variants."""
    items: dict[str, int] = {}
    """How many distinct items were shown, by variant."""
    by_scenario: dict[str, dict[str, VariantTally]] = {}
    """The counts of requests that name a scenario, by scenario and variant."""


def empty_tally(variants: Iterable[str]) -> ExperimentTally:
    """Return a tally of these variants in which nothing is counted."""
    names = list(variants)
    return ExperimentTally({name: VariantTally() for name in names}, items=dict.fromkeys(names, 0))


def latency_place(latency_ms: float) -> int:
    """Return where `VariantTally.latency` counts a list that took this long."""
    return bisect_left(LATENCY_BOUNDS_MS, latency_ms)


def to_fields(tally: ExperimentTally) -> Fields:
    """Return the fields that are not zero; `items` are not among them."""
    fields = {CROSS: tally.cross} if tally.cross else {}
    for scenario, variants in [("", tally.variants), *tally.by_scenario.items()]:
        for variant, counts in variants.items():
            for name, count in _counts(counts):
                if count:
                    fields[f"{scenario}/{variant}/{name}"] = count
    return fields


def from_fields(
    fields: Mapping[str, int], variants: Iterable[str], items: Mapping[str, int] | None = None
) -> ExperimentTally:
    """Return the tally that `to_fields` gave, with every variant of the definition.

    Fields of other variants and of unknown names, which another version may have written, are ignored.
    """
    tally = empty_tally(variants)
    tally.items.update(items or {})
    tally.cross = fields.get(CROSS, 0)
    for field, count in fields.items():
        scenario, _, rest = field.partition("/")
        variant, _, name = rest.partition("/")
        if variant not in tally.variants or field == CROSS:
            continue
        counts = tally.variants
        if scenario:
            counts = tally.by_scenario.setdefault(
                scenario, {known: VariantTally() for known in tally.variants}
            )
        _set(counts[variant], name, count)
    return tally


def add_fields(total: Fields, change: Mapping[str, int]) -> None:
    """Add a change to the fields of a tally; fields that become zero are removed."""
    for field, count in change.items():
        if new := total.get(field, 0) + count:
            total[field] = new
        else:
            total.pop(field, None)


_SCALARS = ("users", "lists", "shown", "likes", "hits", "n2", "ny", "y2", "popular")
_ROWS = ("shown_at", "likes_at", "latency")


def _counts(tally: VariantTally) -> Iterator[tuple[str, int]]:
    for name in _SCALARS:
        yield name, getattr(tally, name)
    for name in _ROWS:
        for place, count in enumerate(getattr(tally, name)):
            yield f"{name}/{place}", count


def _set(tally: VariantTally, name: str, count: int) -> None:
    name, _, place = name.partition("/")
    if name in _SCALARS and not place:
        setattr(tally, name, count)
    elif name in _ROWS and place.isdecimal() and int(place) < len(getattr(tally, name)):
        getattr(tally, name)[int(place)] = count
