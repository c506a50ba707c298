"""How much two ranked lists agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

PERSISTENCE = 0.9
"""The weight of each rank relative to the one before: the first ten have 86% of the total weight."""


def overlap(one: Sequence[Hashable], other: Sequence[Hashable]) -> float:
    """Return the share of the longer list's items that are also in the other list, in any order."""
    longest = max(len(one), len(other))
    return len({*one} & {*other}) / longest if longest else 1.0


def rank_biased_overlap(
    one: Sequence[Hashable], other: Sequence[Hashable], *, persistence: float = PERSISTENCE
) -> float:
    """Return the rank-biased overlap of two rankings, from 0 (nothing in common) to 1 (equal).

    It is the expected overlap for a reader who continues from each rank with probability
    `persistence`, extrapolated beyond the ends of lists of different lengths (Webber, Moffat and Zobel,
    "A Similarity Measure for Indefinite Rankings", 2010, eq. 32). Unlike Kendall's tau, it allows lists
    of different items and gives most weight to the top. The items of a list are distinct.
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
