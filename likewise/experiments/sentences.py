"""The verdict in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from likewise.experiments.comparison import relative_effect

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from likewise.experiments.comparison import Comparison
    from likewise.experiments.guardrails import Guardrail
    from likewise.experiments.tally import ExperimentTally
    from likewise.messages.experiments import Experiment, Kind


class _Words(NamedTuple):
    """What is compared, in words."""

    nothing: str
    no_likes: str
    verb: str
    likes: str


_LISTS: Final = _Words(
    "No list has been shown yet.", "No list has been liked yet.", "gets", "likes a list"
)
_WORDS: Final[dict[Kind, _Words]] = {
    "split": _LISTS,
    "interleaved": _LISTS,
    "prequential": _Words(
        "No like has been sampled yet.",
        "Neither model has predicted a like yet.",
        "predicts",
        "likes",
    ),
}


def sentence_of(
    experiment: Experiment,
    tally: ExperimentTally,
    comparisons: Sequence[Comparison],
    guardrails: Iterable[Guardrail],
    *,
    ratio_ok: bool,
) -> str:
    """Return the verdict as one or more sentences."""
    return " ".join(_sentences(experiment, tally, comparisons, guardrails, ratio_ok=ratio_ok))


def _sentences(
    experiment: Experiment,
    tally: ExperimentTally,
    comparisons: Sequence[Comparison],
    guardrails: Iterable[Guardrail],
    *,
    ratio_ok: bool,
) -> Iterator[str]:
    words = _WORDS[experiment.kind]
    if not any(variant.lists for variant in tally.variants.values()):
        yield words.nothing
        return
    if not ratio_ok:
        yield "The users are not divided as the shares demand. Nothing follows before you know why."
    elif not any(variant.likes for variant in tally.variants.values()):
        yield words.no_likes
    else:
        for comparison in comparisons:
            yield _comparison(experiment, tally, comparison)
    for guardrail in guardrails:
        if not guardrail.ok:
            yield f"Check the {guardrail.name}: {guardrail.sentence}."


def _comparison(experiment: Experiment, tally: ExperimentTally, found: Comparison) -> str:
    control = experiment.variants[0].name
    for name in (control, found.variant):
        if not tally.variants[name].lists:
            return f"`{name}` has shown no list yet."
    if found.low is None:
        return f"Too few users yet to compare `{found.variant}` with `{control}`."
    shared = experiment.kind == "interleaved"
    if found.decision in {"better", "worse"}:
        if shared:
            return _shared(control, found)
        return _difference(control, found, _WORDS[experiment.kind])
    low = relative_effect(experiment, found.low)
    if found.decision == "not_worse" and low is not None:
        return (
            f"`{found.variant}` is at most {-low:.1%} worse than `{control}`; the margin is "
            f"{experiment.margin:.1%}."
        )
    if found.reach is None:
        shown = "more likes are needed"
    elif shared:
        shown = f"more than {_share(found.reach)} of the likes would have shown"
    else:
        shown = f"an effect above {found.reach:.1%} would have shown"
    return f"No difference between `{found.variant}` and `{control}` found yet; {shown}."


def _difference(control: str, found: Comparison, words: _Words) -> str:
    """Return the sentence on the relative difference. A bound that does not exist is left out."""
    name = f"`{found.variant}`"
    if found.decision == "worse":
        least, most = found.high or 0.0, found.low or 0.0
        effect = found.effect or 0.0
        return f"{name} {words.verb} {-effect:.1%} fewer {words.likes} than `{control}` ({-least:.1%} to {-most:.1%})."
    low = found.low or 0.0
    if found.effect is None or found.high is None:
        return f"{name} {words.verb} at least {low:.1%} more {words.likes} than `{control}`."
    return f"{name} {words.verb} {found.effect:.1%} more {words.likes} than `{control}` ({low:.1%} to {found.high:.1%})."


def _shared(control: str, found: Comparison) -> str:
    effect, low, high = (found.effect or 0.0), (found.low or 0.0), (found.high or 0.0)
    return (
        f"`{found.variant}` gets {_share(effect)} of the likes of shared lists, `{control}` the rest "
        f"({_share(low)} to {_share(high)})."
    )


def _share(effect: float) -> str:
    return f"{(1 + effect) / 2:.1%}"
