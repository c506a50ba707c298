"""Bounds that hold at every look at once, however often one looks. Pure.

All are asymptotic: they hold once many users count. docs/experiments.md derives them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

_CONCENTRATION: Final = 1_000.0
"""How many users the prior of `sample_ratio_p` weighs: shares may be off by some 3 percentage points."""


class Interval(NamedTuple):
    """A confidence sequence at one look."""

    low: float
    high: float


def boundary(information: float, scale: float, alpha: float) -> float:
    """Return the standard errors that an estimate stays within at all looks, with probability 1 - alpha.

    The normal mixture of Robbins (1970), for an estimate with variance 1 / `information`. It is
    narrowest for effects about as large as `scale`, and holds for any. `information` > 0.
    """
    grown = information * scale * scale
    return math.sqrt((1 + 1 / grown) * math.log((1 + grown) / alpha**2))


def share_interval(share: float, count: float, errors: float) -> Interval:
    """Return the shares that are within `errors` standard errors of the observed one: Wilson's interval.

    `count` > 0 is the number of independent observations whose share would vary as much. Holds at shares of
    0 and 1, too.
    """
    weight = errors * errors / count
    centre = (share + weight / 2) / (1 + weight)
    half = math.sqrt(weight * (share * (1 - share) + weight / 4)) / (1 + weight)
    # Exact at the ends, where rounding would leave a bound that does not exist.
    return Interval(centre - half if share > 0 else 0.0, centre + half if share < 1 else 1.0)


def sample_ratio_p(counts: Sequence[int], shares: Sequence[float]) -> float:
    """Return how likely the counts are, at most, if each user falls to a variant by its share. May be looked at daily.

    One over the Bayes factor of a Dirichlet-multinomial against the shares, at most 1: it falls below p
    at any time with a probability of at most p (Lindon and Malek, arXiv:2011.03567).
    """
    total = sum(shares)
    users = sum(counts)
    log_factor = math.lgamma(_CONCENTRATION) - math.lgamma(_CONCENTRATION + users)
    for count, share in zip(counts, shares, strict=True):
        part = share / total
        prior = _CONCENTRATION * part
        log_factor += math.lgamma(prior + count) - math.lgamma(prior) - count * math.log(part)
    return math.exp(min(0.0, -log_factor))


def exceeds(count: float, total: float, share: float, alpha: float) -> bool:
    """Return whether more than `share` of all is so, above noise, at whatever time one looks.

    `count` of `total` observed ones are. The scale is a share twice as large.
    """
    if total <= 0:
        return False
    error = math.sqrt(share * (1 - share) / total)
    return count / total > share + error * boundary(1 / error**2, share, alpha)


def quantile(counts: Sequence[int], bounds: Sequence[float], part: float) -> float | None:
    """Return the value below which `part` of the counted ones are, interpolated in its bucket; None without any.

    `counts` has one more entry than `bounds`: what is above the last bound. That bound is the most returned.
    """
    wanted = part * sum(counts)
    if wanted <= 0:
        return None
    below, lower = 0, 0.0
    for count, bound in zip(counts, bounds, strict=False):
        if count and below + count >= wanted:
            return lower + (bound - lower) * (wanted - below) / count
        below, lower = below + count, float(bound)
    return lower
