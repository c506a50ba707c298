"""How much two ranked lists agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

PERSISTENCE = 0.9
"""How much each place weighs against the one before: the first ten get 86% of all weight."""


def overlap(one: Sequence[Hashable], other: Sequence[Hashable]) -> float:
    """Return the share of the longer list that the other one holds too, in whatever order."""
    longest = max(len(one), len(other))
    return len({*one} & {*other}) / longest if longest else 1.0


def rank_biased_overlap(
    one: Sequence[Hashable], other: Sequence[Hashable], *, persistence: float = PERSISTENCE
) -> float:
    """Return how far two rankings agree, from 0 (nothing in common) to 1 (the same).

    The expected overlap of the two for somebody who reads down both and goes on from each place
    with the probability `persistence`; extrapolated beyond their ends, where they may differ in
    length (Webber, Moffat and Zobel, "A Similarity Measure for Indefinite Rankings", 2010, eq. 32).
    Unlike Kendall's tau it takes lists that do not hold the same items, and the top counts most.
    No list holds an item twice.
    """
    short, long = sorted((one, other), key=len)
    if not short:
        return float(not long)
    p, s, length = persistence, len(short), len(long)
    seen_short: set[Hashable] = set()
    seen_long: set[Hashable] = set()
    total, common, common_at_s = 0.0, 0, 0
    for depth, item in enumerate(long, 1):
        seen_long.add(item)
        common += item in seen_short
        if depth <= s:
            seen_short.add(short[depth - 1])
            common += short[depth - 1] in seen_long
            common_at_s = common
        total += common / depth * p**depth
        if depth > s:
            total += common_at_s * (depth - s) / (s * depth) * p**depth
    beyond = (common - common_at_s) / length + common_at_s / s
    return (1 - p) / p * total + beyond * p**length
