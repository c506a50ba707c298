"""The verdict: what follows from the tallies of an experiment. It may be looked at every day. Pure.

docs/experiments.md has the formulas, their sources and what they assume.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from likewise.experiments.comparison import Comparison, compare
from likewise.experiments.confidence import sample_ratio_p
from likewise.experiments.guardrails import Guardrail, guardrails_of
from likewise.experiments.sentences import sentence_of

if TYPE_CHECKING:
    from likewise.experiments.tally import ExperimentTally
    from likewise.messages.experiments import Experiment

SAMPLE_RATIO_ALPHA: Final = 0.001


class Verdict(msgspec.Struct, frozen=True):
    """The comparisons with the control, what the variants cost, and a sentence for people."""

    comparisons: list[Comparison]
    guardrails: list[Guardrail]
    sample_ratio_p: float | None
    sample_ratio_ok: bool
    """Whether users are divided as the shares demand. If not, every comparison is undecided."""
    alpha: float
    sentence: str


def verdict_of(experiment: Experiment, tally: ExperimentTally, *, alpha: float = 0.05) -> Verdict:
    """Return the verdict on these tallies.

    Where variants and control are equal, any of them is ever called better or worse, at whatever look,
    with a probability of at most `alpha`.
    """
    ratio = _sample_ratio_p(experiment, tally)
    ratio_ok = ratio is None or ratio >= SAMPLE_RATIO_ALPHA
    each = alpha / (len(experiment.variants) - 1)
    comparisons = [
        compare(experiment, tally, variant.name, alpha=each, decide=ratio_ok)
        for variant in experiment.variants[1:]
    ]
    guardrails = list(guardrails_of(experiment, tally))
    sentence = sentence_of(experiment, tally, comparisons, guardrails, ratio_ok=ratio_ok)
    return Verdict(comparisons, guardrails, ratio, ratio_ok, alpha, sentence)


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    """Return the JSON object of a verdict."""
    body: dict[str, Any] = msgspec.to_builtins(verdict)
    return body


def _sample_ratio_p(experiment: Experiment, tally: ExperimentTally) -> float | None:
    """Return the p-value of the numbers of users; None if there are none, or one for all variants."""
    counts = [tally.variants[variant.name].users for variant in experiment.variants]
    if experiment.kind != "split" or not any(counts):
        return None
    return sample_ratio_p(counts, [variant.share for variant in experiment.variants])
