"""A comparison as one JSON object, and as tables on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from likewise.cli.output import stdout, table
from likewise.evaluation.metrics.bootstrap import CONFIDENCE, RESAMPLES
from likewise.messages.times import iso_time
from likewise.ranking.agreement import PERSISTENCE

if TYPE_CHECKING:
    from likewise.evaluation.shadow.comparison import Comparison, Duel, Mean
    from likewise.evaluation.shadow.replay import ShadowRun
    from likewise.models.holder import ServedModel

_DIGITS = 5
_LABELS = {
    "overlap": "share of items in common",
    "rank_biased_overlap": "rank-biased overlap",
    "identical": "identical answers",
    "recall": "share of later likes in the answers",
    "hit_rate": "answers with a later like",
    "ndcg": "nDCG",
}


def account_of(
    comparison: Comparison, models: tuple[ServedModel, ServedModel], played: ShadowRun, *, seed: int
) -> dict[str, Any]:
    """Return `{a, b, settings, requests, agreement, later_likes, better, verdict}`."""
    a, b = models
    return {
        "a": _model(a),
        "b": _model(b),
        "settings": {
            "seed": seed,
            "persistence": PERSISTENCE,
            "confidence": CONFIDENCE,
            "resamples": RESAMPLES,
        },
        "requests": {
            "compared": comparison.requests,
            "bad": played.bad,
            "forgotten": played.forgotten,
            "unanswered": played.unanswered,
        },
        "agreement": {name: _mean(mean) for name, mean in comparison.agreement.items()},
        "later_likes": {
            "requests": comparison.later_requests,
            "users": comparison.later_users,
            "likes": comparison.later_likes,
            "metrics": {name: _duel(duel) for name, duel in comparison.later.items()},
        },
        "better": comparison.better,
        "verdict": comparison.verdict,
    }


def print_comparison(account: dict[str, Any]) -> None:
    """Print the account of a comparison for people; the verdict is the last line."""
    out = stdout()
    for name in ("a", "b"):
        model = account[name]
        out.print(
            f"{name.upper()}  {model['version']}  {model['ranker']}, likes of "
            f"{iso_time(model['snapshot_at_ms'])}",
            markup=False,
        )
    out.print(f"{_counts(account['requests'])}\n", markup=False)
    out.print(_agreement(account["agreement"]))
    if account["later_likes"]["metrics"]:
        out.print()
        out.print(_later_likes(account["later_likes"]))
    out.print(f"\n{account['verdict']}", markup=False)


def _counts(requests: dict[str, int]) -> str:
    others = {
        "bad": "no requests",
        "forgotten": "of users forgotten since",
        "unanswered": "that neither can answer",
    }
    left_out = [f"{requests[key]:,} {what}" for key, what in others.items() if requests[key]]
    counted = f"{requests['compared']:,} requests"
    return f"{counted}; left out: {', '.join(left_out)}" if left_out else counted


def _agreement(agreement: dict[str, dict[str, Any]]) -> Any:
    shown = table("agreement of A and B", "#mean", "")
    for name, mean in agreement.items():
        shown.add_row(_LABELS[name], f"{mean['mean']:.3f}", _interval(mean, ".3f"))
    return shown


def _later_likes(later: dict[str, Any]) -> Any:
    heading = f"{later['likes']:,} later likes of {later['users']:,} users"
    shown = table(heading, "#A", "#B", "#B - A", "")
    for name, duel in later["metrics"].items():
        difference = duel["difference"]
        shown.add_row(
            _LABELS[name],
            f"{duel['a']:.4f}",
            f"{duel['b']:.4f}",
            f"{difference['mean']:+.4f}",
            _interval(difference, "+.4f"),
        )
    return shown


def _interval(mean: dict[str, Any], form: str) -> str:
    low, high = mean["interval"]
    return f"[dim]\\[{low:{form}}, {high:{form}}][/]"


def _model(model: ServedModel) -> dict[str, Any]:
    return {
        "version": model.version,
        "ranker": model.model.recipe.ranker,
        "snapshot_at_ms": model.snapshot_at_ms,
    }


def _mean(mean: Mean) -> dict[str, Any]:
    interval = [round(mean.low, _DIGITS), round(mean.high, _DIGITS)]
    return {"mean": round(mean.mean, _DIGITS), "interval": interval}


def _duel(duel: Duel) -> dict[str, Any]:
    a, b = round(duel.a, _DIGITS), round(duel.b, _DIGITS)
    return {"a": a, "b": b, "difference": _mean(duel.difference)}
