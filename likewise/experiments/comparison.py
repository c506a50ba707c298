"""A variant compared with the control, from their tallies. Pure.

docs/experiments.md has the formulas, their sources and what they assume.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import msgspec

from likewise.experiments.confidence import boundary, share_interval

if TYPE_CHECKING:
    from likewise.experiments.tally import ExperimentTally, VariantTally
    from likewise.messages.experiments import Experiment

LEAST_USERS: Final = 30
"""Fewer users than this say nothing, however much they like. Users of unequal activity count as fewer."""
_SCALE: Final = 0.2
"""Relative differences of about this size are found soonest; others are found, too."""


class Comparison(msgspec.Struct, frozen=True):
    """A variant compared with the control."""

    variant: str
    effect: float | None = None
    """Split: the relative difference of likes a list; prequential: of predicted likes. Interleaved: the difference
    of likes over their sum."""
    low: float | None = None
    high: float | None = None
    """The confidence sequence at this look. None without enough users; `high` also if nothing bounds it."""
    reach: float | None = None
    """The effect that would have shown by now."""
    decision: Literal["better", "worse", "not_worse", "undecided"] = "undecided"
    """`not_worse`: not worse by more than the margin, if the experiment has one."""


def relative_effect(experiment: Experiment, effect: float | None) -> float | None:
    """Return the effect of a verdict as the difference of likes relative to those of the control.

    An interleaved experiment has it relative to the likes of both. None if it is unknown or has no bound.
    """
    if effect is None or experiment.kind != "interleaved":
        return effect
    return 2 * effect / (1 - effect) if effect < 1 else None


class _Evidence(NamedTuple):
    """The likes of two variants as a share, which is `expected` if they do not differ."""

    share: float
    """The variant's part of the likes of both."""
    expected: float
    independent: float
    """The number of independent likes whose share would vary as much."""
    enough: bool
    """Whether enough users count."""

    def relative(self, share: float) -> float | None:
        """Return the relative difference that this share means; None if it has no bound."""
        odds = (1 - share) * self.expected
        return share * (1 - self.expected) / odds - 1 if odds > 0 else None


def compare(
    experiment: Experiment, tally: ExperimentTally, name: str, *, alpha: float, decide: bool
) -> Comparison:
    """Return how a variant compares with the control.

    They are called better or worse without a difference, at whatever look, with a probability of at most `alpha`;
    never without `decide`.
    """
    control, variant = tally.variants[experiment.variants[0].name], tally.variants[name]
    split = experiment.kind == "split"
    found = _split(control, variant) if split else _interleaved(control, variant, tally.cross)
    if found is None:
        return Comparison(name)
    effect = _difference_of_sum if experiment.kind == "interleaved" else found.relative
    if not found.enough:
        return Comparison(name, effect(found.share))
    variance = found.expected * (1 - found.expected)
    errors = boundary(found.independent * variance, _SCALE, alpha)
    low, high = share_interval(found.share, found.independent, errors)
    reach = found.expected + errors * math.sqrt(variance / found.independent)
    return Comparison(
        name,
        effect(found.share),
        effect(low),
        effect(high),
        effect(reach) if reach < 1 else None,
        _decision(found.relative(low), found.relative(high), experiment.margin)
        if decide
        else "undecided",
    )


def _difference_of_sum(share: float) -> float:
    """Return the difference of both parts, over their sum."""
    return 2 * share - 1


def _decision(
    low: float | None, high: float | None, margin: float
) -> Literal["better", "worse", "not_worse", "undecided"]:
    if low is not None and low > 0:
        return "better"
    if high is not None and high < 0:
        return "worse"
    if margin > 0 and low is not None and low > -margin:
        return "not_worse"
    return "undecided"


def _split(control: VariantTally, variant: VariantTally) -> _Evidence | None:
    """Return the evidence of two groups of users; None without lists or likes.

    Without a difference, the variant has its part of the likes in proportion to its lists. The variance is
    that of the users' residuals, of the variants themselves or of all users, whichever is larger:
    few likes of a small variant say little about its variance.
    """
    likes = control.likes + variant.likes
    if not (control.lists and variant.lists and likes):
        return None
    expected = variant.lists / (control.lists + variant.lists)
    ours, theirs = _residuals(variant), _residuals(control)
    own = (1 - expected) ** 2 * ours + expected**2 * theirs
    pooled = (ours + theirs) * expected * (1 - expected)
    spread = max(own, pooled)
    active = min(control.lists**2 / control.n2, variant.lists**2 / variant.n2)
    enough = spread > 0 and min(active, likes**2 / (control.y2 + variant.y2)) >= LEAST_USERS
    independent = likes**2 * expected * (1 - expected) / spread if spread > 0 else 0.0
    return _Evidence(variant.likes / likes, expected, independent, enough)


def _residuals(tally: VariantTally) -> float:
    """Return the sum over users of (y - R n)², with R the likes a list."""
    rate = tally.likes / tally.lists
    return tally.y2 - 2 * rate * tally.ny + rate * rate * tally.n2


def _interleaved(control: VariantTally, variant: VariantTally, cross: int) -> _Evidence | None:
    """Return the evidence of shared lists or of sampled likes; None without likes.

    Each user, or group of users, is compared with himself or herself.
    """
    likes = control.likes + variant.likes
    if not likes:
        return None
    spread = control.y2 + variant.y2 - 2 * cross
    active = likes**2 / (control.y2 + variant.y2 + 2 * cross)
    enough = spread > 0 and active >= LEAST_USERS
    return _Evidence(variant.likes / likes, 0.5, likes**2 / spread if spread > 0 else 0.0, enough)
