"""A canary: a new model that is tried until it has proved not to be worse. Pure.

It ranks for a share of the users, or only predicts their likes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from msgspec import structs

from likewise.experiments.assignment import assigned
from likewise.experiments.comparison import relative_effect
from likewise.messages.experiments import Experiment, Variant
from likewise.models.canaries import CANARY, CURRENT, canary_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from likewise.experiments.comparison import Comparison
    from likewise.experiments.tally import ExperimentTally
    from likewise.experiments.verdict import Verdict
    from likewise.messages.ids import UserId
    from likewise.settings import ModelSettings

_SEEDS: Final = 32
_SAMPLE: Final = 10_000
_NEARLY: Final = 0.8
_NOT_SAMPLED: Final = (
    "no likes were sampled; check that likes arrive, that consumers have consumer.quality_samples_per_s, "
    "and that they read model.directory"
)


class Evidence(NamedTuple):
    """What the users have done so far, and what follows from it."""

    verdict: Verdict
    tally: ExperimentTally


def tries(settings: ModelSettings) -> bool:
    """Return whether new models are tried before everybody gets them."""
    return settings.canary_share > 0 or settings.canary_kind == "prequential"


class Decided(NamedTuple):
    """The end of a canary, and the reason in a sentence."""

    decision: Literal["promoted", "rolled_back", "stopped"]
    reason: str


def canary_of(
    version: str,
    current: str,
    settings: ModelSettings,
    *,
    window_s: float,
    users: Sequence[UserId],
    now_ms: int,
) -> Experiment:
    """Return the experiment that compares a new version with the current one, starting now.

    At most `canary_share` of these `users` see lists of the new version, as far as a hash allows that: the
    seed is chosen so. In a split canary everybody else is the control, which needs the least time. In a
    prequential one, nobody sees the new version.
    """
    share = settings.canary_share
    split = settings.canary_kind == "split"
    if split:
        share = min(share, 0.5)  # the largest control that a larger share leaves needs more time
    experiment = Experiment(
        name=canary_name(version),
        kind=settings.canary_kind,
        variants=(
            Variant(name=CURRENT, model=current, share=1 - share if split else 1.0),
            Variant(name=CANARY, model=version, share=share if split else 1.0),
        ),
        seed=version,
        started_at_ms=now_ms,
        share=share if settings.canary_kind == "interleaved" else 1.0,
        window_s=window_s,
        margin=settings.canary_margin,
        canary=True,
    )
    if settings.canary_kind == "prequential":
        return experiment
    return _with_seed(experiment, share, users)


def decide(
    experiment: Experiment, evidence: Evidence, *, now_ms: int, longest_s: float
) -> Decided | None:
    """Return how the canary ends now; None if it goes on."""
    verdict = evidence.verdict
    for guardrail in verdict.guardrails:
        if guardrail.variant == CANARY and not guardrail.ok:
            return Decided("rolled_back", guardrail.sentence)
    compared = next(found for found in verdict.comparisons if found.variant == CANARY)
    if compared.decision in ("better", "not_worse"):
        return Decided("promoted", verdict.sentence)
    if compared.decision == "worse":
        within = compared.low is not None and _is_within(experiment, compared.low)
        return Decided("promoted" if within else "rolled_back", verdict.sentence)
    if now_ms - experiment.started_at_ms < longest_s * 1_000:
        return None
    return _decide_late(experiment, evidence, compared)


def _decide_late(experiment: Experiment, evidence: Evidence, compared: Comparison) -> Decided:
    """Return how a canary ends that has had all its time."""
    current, canary = (evidence.tally.variants[name].lists for name in (CURRENT, CANARY))
    if not current and not canary:
        if experiment.kind == "prequential":
            return Decided("rolled_back", _NOT_SAMPLED)
        return Decided("promoted", "no lists were shown")
    if not canary:
        return Decided("rolled_back", f"none of {current:,} lists was of the new model")
    if not evidence.verdict.sample_ratio_ok:
        return Decided("rolled_back", "the users are not divided by the shares; see the verdict")
    if compared.effect is None:
        return Decided("promoted", "there were no likes to compare")
    within = _is_within(experiment, compared.effect)
    relation = "within" if within else "below"
    reason = f"no verdict in time; the estimate is {relation} the margin of {experiment.margin:.1%}"
    return Decided("promoted" if within else "rolled_back", reason)


def _is_within(experiment: Experiment, effect: float) -> bool:
    """Whether a variant with this effect is not worse by more than the margin."""
    relative = relative_effect(experiment, effect)
    return relative is None or relative >= -experiment.margin


def _with_seed(experiment: Experiment, share: float, users: Sequence[UserId]) -> Experiment:
    """Return the experiment with a seed that shows the new version to nearly `share` of the users, and no more.

    To one user if the share of these is less.
    """
    sample = users[:: max(1, len(users) // _SAMPLE)]
    if not sample:
        return experiment
    limit = max(share, 1 / len(sample))
    best, best_found = experiment, -1.0
    for number in range(_SEEDS):
        tried = structs.replace(experiment, seed=f"{experiment.seed}/{number}")
        found = sum(_sees_canary(tried, user) for user in sample) / len(sample)
        if best_found < found <= limit:
            best, best_found = tried, found
        if best_found >= _NEARLY * limit:
            break
    return best


def _sees_canary(experiment: Experiment, user: UserId) -> bool:
    part = assigned(experiment, user)
    return part is not None and (part.variant is None or part.variant.name == CANARY)
