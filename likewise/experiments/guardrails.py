"""Guardrails: what a variant must not cost, whatever it gains. Pure.

Each fails only if the difference is above the limit and above noise, at whatever time one looks.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from likewise.experiments.confidence import boundary, exceeds, quantile
from likewise.experiments.tally import LATENCY_BOUNDS_MS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from likewise.experiments.tally import ExperimentTally, VariantTally
    from likewise.messages.experiments import Experiment

_ALPHA: Final = 0.01
_SCALE: Final = 0.1
_PART: Final = 0.95
MOST: Final = 1.2
"""Latency and share of popular items: at most so many times those of the control."""
LEAST: Final = 0.8
"""Distinct items: at least so many times those of the control."""


class Guardrail(msgspec.Struct, frozen=True):
    """One quantity of a variant, compared with that of the control."""

    name: Literal["latency", "popularity", "coverage"]
    variant: str
    value: float
    control: float
    ok: bool
    sentence: str


def guardrails_of(experiment: Experiment, tally: ExperimentTally) -> Iterator[Guardrail]:
    """Yield the guardrails of every variant but the control for which there is something to compare.

    An interleaved list is shown by both variants, so that only coverage tells them apart.
    """
    control = experiment.variants[0].name
    for variant in experiment.variants[1:]:
        ours, theirs = tally.variants[variant.name], tally.variants[control]
        if not (ours.shown and theirs.shown):
            continue
        if experiment.kind == "split":
            yield from _latency(variant.name, ours, theirs)
            yield _popularity(variant.name, ours, theirs)
        items = (tally.items.get(variant.name, 0), tally.items.get(control, 0))
        if all(items):
            yield _coverage(variant.name, ours, theirs, items)


def _latency(variant: str, ours: VariantTally, theirs: VariantTally) -> Iterator[Guardrail]:
    value = quantile(ours.latency, LATENCY_BOUNDS_MS, _PART)
    control = quantile(theirs.latency, LATENCY_BOUNDS_MS, _PART)
    if value is None or control is None:
        return
    # The counters know only their bounds: lists above the first one that the limit does not reach are slow.
    fast = sum(bound < MOST * control for bound in LATENCY_BOUNDS_MS) + 1
    slow = sum(ours.latency[fast:])
    ok = not exceeds(slow, sum(ours.latency), 1 - _PART, _ALPHA)
    sentence = f"95% of the lists of `{variant}` take at most {value:.3g} ms; of the control, {control:.3g} ms"
    yield Guardrail("latency", variant, value, control, ok, sentence)


def _popularity(variant: str, ours: VariantTally, theirs: VariantTally) -> Guardrail:
    value, control = ours.popular / ours.shown, theirs.popular / theirs.shown
    pooled = (ours.popular + theirs.popular) / (ours.shown + theirs.shown)
    ok = pooled == 0 or not _exceeds_noise(
        (value - MOST * control) / pooled, (1 - pooled) / pooled * _variance(ours, theirs)
    )
    sentence = f"{value:.1%} of what `{variant}` shows is popular; of what the control shows, {control:.1%}"
    return Guardrail("popularity", variant, value, control, ok, sentence)


def _coverage(
    variant: str, ours: VariantTally, theirs: VariantTally, items: tuple[int, int]
) -> Guardrail:
    """Compare distinct items at equal numbers of shown ones.

    The first part of the shown items has at least that part of the distinct ones. So the control has at
    least `control` items where it has shown as many as the variant: a variant that fails has fewer.
    """
    control = items[1] * min(1.0, ours.shown / theirs.shown)
    ok = not _exceeds_noise(LEAST - items[0] / control, _variance(ours, theirs))
    sentence = f"`{variant}` has shown {items[0]:,} items; the control, at least {control:,.0f} in as many places"
    return Guardrail("coverage", variant, float(items[0]), control, ok, sentence)


def _variance(ours: VariantTally, theirs: VariantTally) -> float:
    """Return the relative variance of a difference to which each user adds either all or nothing: the most there is."""
    return sum(tally.n2 / tally.lists**2 for tally in (ours, theirs))


def _exceeds_noise(relative: float, variance: float) -> bool:
    """Return whether a relative difference is above noise, at whatever time one looks."""
    if relative <= 0 or variance <= 0:
        return relative > 0
    return relative > math.sqrt(variance) * boundary(1 / variance, _SCALE, _ALPHA)
