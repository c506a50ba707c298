"""Experiments as tables on a terminal."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec

from likewise.cli.bars import BAR_WIDTH, columns, interval
from likewise.cli.output import duration, plain, stdout, table
from likewise.messages.times import iso_time
from likewise.operations.experiment_reports import state_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.table import Table

    from likewise.experiments.tally import VariantTally
    from likewise.messages.experiments import Experiment, Variant
    from likewise.operations.experiment_reports import ExperimentReport

_DECISIONS = {
    "better": "[green]better[/]",
    "worse": "[red]worse[/]",
    "not_worse": "[green]not worse[/]",
    "undecided": "undecided",
}
_MEASURED = {
    "split": "likes a list",
    "interleaved": "lead in likes",
    "prequential": "predicted likes",
}
_SHOWN_USERS = 5


def print_list(reports: Sequence[tuple[Experiment, ExperimentReport]]) -> None:
    """Print a row for each variant, and the verdicts in words below."""
    rows = table("experiment", "state", "kind", "variant", "#lists", "#likes", "effect")
    rows.columns[0].no_wrap = True
    for experiment, report in reports:
        _add_experiment(rows, experiment, report)
    out = stdout()
    out.print(rows)
    out.print()
    for experiment, report in reports:
        out.print(f"{experiment.name}: {report.verdict['sentence']}", markup=False)


def print_report(experiment: Experiment, report: ExperimentReport) -> None:
    """Print all about one experiment; the verdict is the last line."""
    out = stdout()
    for line in _definition(experiment):
        out.print(line, markup=False)
    out.print()
    out.print(
        _predictions(report) if experiment.kind == "prequential" else _variants(experiment, report)
    )
    verdict = report.verdict
    if compared := [one for one in verdict["comparisons"] if one["effect"] is not None]:
        out.print()
        out.print(_comparisons(experiment, compared))
    out.print()
    for line in _checks(verdict):
        out.print(line)
    if (outcome := experiment.outcome) is not None and outcome.reason:
        out.print(f"{state_of(experiment).replace('_', ' ')}: {outcome.reason}", markup=False)
    if outcome is not None and outcome.verdict is not None and experiment.kind != "prequential":
        out.print(
            "The verdict is that of the end; likes of earlier lists still count in the table."
        )
    out.print(verdict["sentence"], markup=False)


def parts_of(experiment: Experiment) -> str:
    """Return which part of the users gets each variant: "control 50%, ridge 50% of 20% of the users"."""
    if experiment.kind == "prequential":
        return "consumers test both models with new likes; nobody gets lists of the new one"
    whole = "all users" if experiment.share >= 1 else f"{_percent(experiment.share)} of the users"
    if experiment.kind == "interleaved":
        names = " and ".join(one.name for one in experiment.variants)
        return f"{names} share each list of {whole}"
    shares = _shares(experiment)
    parts = [f"{one.name} {_percent(shares[one.name])}" for one in experiment.variants]
    return f"{', '.join(parts)} of {whole}"


def _add_experiment(rows: Table, experiment: Experiment, report: ExperimentReport) -> None:
    compared = {one["variant"]: one for one in report.verdict["comparisons"]}
    first = [
        plain(experiment.name),
        state_of(experiment).replace("_", " "),
        experiment.kind,
    ]
    for variant, tally in report.tally.variants.items():
        effect = _effect(compared[variant]) if variant in compared else ""
        rows.add_row(*first, plain(variant), f"{tally.lists:,}", f"{tally.likes:,}", effect)
        first = [""] * len(first)


def _definition(experiment: Experiment) -> Iterator[str]:
    since = _to_the_second(experiment.started_at_ms)
    if experiment.stopped_at_ms is None:
        age = duration(time.time() - experiment.started_at_ms / 1000)
        times = f"running since {since} ({age})"
    else:
        state = state_of(experiment).replace("_", " ")
        times = f"{state} {_to_the_second(experiment.stopped_at_ms)}, started {since}"
    yield f"{experiment.name}  {experiment.kind}, {times}"
    yield f"  {parts_of(experiment)}"
    if experiment.scenario is not None:
        yield f"  requests for scenario {experiment.scenario}"
    if excluded := len(experiment.exclude):
        some = ", ".join(experiment.exclude[:_SHOWN_USERS])
        more = f" and {excluded - _SHOWN_USERS:,} more" if excluded > _SHOWN_USERS else ""
        yield f"  without the users {some}{more}"
    if experiment.kind == "prequential":
        yield f"  margin {_percent(experiment.margin)}"
    else:
        margin = f", margin {_percent(experiment.margin)}" if experiment.margin else ""
        yield f"  a like counts for {duration(experiment.window_s)} after a list{margin}; seed {experiment.seed}"
    for variant in experiment.variants:
        yield f"  {variant.name}: {_answers(variant)}"


def _answers(variant: Variant) -> str:
    """Return what is special about the variant."""
    from likewise.messages.scenarios import defaults_json

    parts = ["the current model"]
    if variant.model is not None:
        parts = [f"model {variant.model}"]
    elif variant.ranker is not None:
        parts = [f"ranker {variant.ranker}"]
    if variant.defaults is not None:
        parts += [
            f"{name}={msgspec.json.encode(value).decode()}"
            for name, value in defaults_json(variant.defaults).items()
        ]
    return ", ".join(parts)


def _variants(experiment: Experiment, report: ExperimentReport) -> Table:
    rows = table(
        "variant", "#users", "#lists", "#shown", "#likes", "#likes/list", "#hit rate", "by place"
    )
    rows.columns[-1].no_wrap = True
    by_place = {name: _rates_by_place(tally) for name, tally in report.tally.variants.items()}
    largest = max((max(rates, default=0.0) for rates in by_place.values()), default=0.0)
    for variant in experiment.variants:
        tally = report.tally.variants[variant.name]
        rows.add_row(
            plain(variant.name),
            f"{tally.users:,}",
            f"{tally.lists:,}",
            f"{tally.shown:,}",
            f"{tally.likes:,}",
            _rate(tally.likes, tally.lists),
            _rate(tally.hits, tally.lists),
            columns(by_place[variant.name], largest=largest),
        )
    return rows


def _predictions(report: ExperimentReport) -> Table:
    rows = table("variant", "#sampled likes", "#predicted", "#hit rate")
    for name, tally in report.tally.variants.items():
        rate = _rate(tally.hits, tally.lists)
        rows.add_row(plain(name), f"{tally.lists:,}", f"{tally.hits:,}", rate)
    return rows


def _rates_by_place(tally: VariantTally) -> list[float]:
    """Return the likes of each place by the items shown there, up to the last place in use."""
    used = max((place for place, shown in enumerate(tally.shown_at, 1) if shown), default=0)
    both = zip(tally.likes_at[:used], tally.shown_at[:used], strict=True)
    return [likes / shown if shown else 0.0 for likes, shown in both]


def _comparisons(experiment: Experiment, compared: Sequence[dict[str, Any]]) -> Table:
    bounded = [one for one in compared if one["low"] is not None]
    ends = [abs(one[end] or 0.0) for one in bounded for end in ("low", "effect", "high")]
    largest = max([*ends, experiment.margin, 0.01])
    gap = BAR_WIDTH // 2 - 1
    axis = f"{f'-{largest:.1%}':<{gap}} 0 {f'+{largest:.1%}':>{gap}}" if bounded else ""
    what = _MEASURED[experiment.kind]
    rows = table(f"against {experiment.variants[0].name}", what, axis, "")
    rows.columns[2].no_wrap = True
    for one in compared:
        bar = ""
        if one["low"] is not None:
            bar = interval(one["low"], one["effect"], one["high"], largest=largest)
        rows.add_row(plain(one["variant"]), _effect(one), bar, _DECISIONS[one["decision"]])
    return rows


def _effect(compared: dict[str, Any]) -> str:
    """Return the effect in percent with its interval: "+3.2% [-1.0, +7.4]"."""
    effect, low, high = compared["effect"], compared["low"], compared["high"]
    if effect is None:
        return ""
    if low is None:
        return f"{effect:+.1%}"
    if high is None:
        return rf"{effect:+.1%} \[{100 * low:+.1f}, ∞)"
    return rf"{effect:+.1%} \[{100 * low:+.1f}, {100 * high:+.1f}]"


def _checks(verdict: dict[str, Any]) -> Iterator[str]:
    for guardrail in verdict["guardrails"]:
        mark = "[green]✓[/]" if guardrail["ok"] else "[red]✗[/]"
        yield f"{mark} {guardrail['name']}: {plain(guardrail['sentence'])}"
    if (ratio := verdict["sample_ratio_p"]) is not None:
        mark = "[green]✓[/]" if verdict["sample_ratio_ok"] else "[red]✗[/]"
        yield f"{mark} users are divided as the shares demand: p = {ratio:.3g}"


def _shares(experiment: Experiment) -> dict[str, float]:
    total = sum(variant.share for variant in experiment.variants)
    return {variant.name: variant.share / total for variant in experiment.variants}


def _to_the_second(time_ms: int) -> str:
    return iso_time(time_ms - time_ms % 1000)


def _percent(share: float) -> str:
    return f"{100 * share:.3g}%"


def _rate(count: int, of: int) -> str:
    return f"{count / of:.4f}" if of else ""
