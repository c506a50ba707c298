"""An evaluation as one JSON object."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from likewise.evaluation.likes.table import Split
from likewise.evaluation.metrics.bootstrap import CONFIDENCE, RESAMPLES
from likewise.ranking.item_index import EXACT_ITEMS_LIMIT

if TYPE_CHECKING:
    from typing import Any

    from likewise.evaluation.evaluate import Evaluation
    from likewise.evaluation.exclusion import ExclusionEffect
    from likewise.evaluation.kinds import KindEffect
    from likewise.evaluation.likes.sources import Read
    from likewise.evaluation.likes.until import Until
    from likewise.evaluation.metrics.summaries import Figures, Interval, Summary
    from likewise.evaluation.trade_off import Traded
    from likewise.evaluation.tuning.search import Tuning
    from likewise.evaluation.tuning.weights import WeightTuning
    from likewise.evaluation.tuning.workbench import Trial

_DIGITS = 5


def as_json(
    evaluation: Evaluation,
    read: Read,
    source: str,
    tuning: Tuning | None = None,
    until: Until | None = None,
    exclusion: ExclusionEffect | None = None,
) -> dict[str, Any]:
    """Return `{data, settings, default, rankers, …}`, numbers and strings only.

    A metric's name in `rankers` ends in `@k`.
    """
    k = evaluation.options.k
    return {
        "data": _data(evaluation, read, source, until),
        "settings": {
            "k": k,
            "seed": evaluation.options.seed,
            "fitted_on": "train+valid",
            "confidence": CONFIDENCE,
            "resamples": RESAMPLES,
            "exact_items_limit": EXACT_ITEMS_LIMIT,
        },
        "default": evaluation.default,
        "choice": evaluation.choice,
        "approximation": {
            name: round(value, _DIGITS) if isinstance(value, float) else value
            for name, value in msgspec.to_builtins(evaluation.approximation).items()
        },
        "options": [_option(one, k) for one in evaluation.request_options],
        "tuning": None if tuning is None else _tuning(tuning, k),
        "target": evaluation.likes.kind,
        "kinds": {one.kind: _kind(one, k) for one in evaluation.kinds},
        "exclusion": None if exclusion is None else _exclusion(exclusion, k),
        "rankers": {one.name: _ranker(one, k) for one in evaluation.summaries},
    }


def _data(evaluation: Evaluation, read: Read, source: str, until: Until | None) -> dict[str, Any]:
    splits = np.bincount(evaluation.division.splits, minlength=len(Split)).tolist()
    interactions = evaluation.likes.interactions
    return {
        "source": source,
        "users": len(interactions.user_ids),
        "items": len(interactions.item_ids),
        "likes": interactions.likes,
        **{split.name.lower(): splits[split] for split in Split},
        "test_users": evaluation.held_out_users,
        "split": evaluation.division.origin,
        "until": None if until is None else str(until),
        "bad_rows": read.bad,
        "first_bad_row": read.first_bad,
    }


def _option(one: Traded, k: int) -> dict[str, Any]:
    return {
        "diversity": one.diversity,
        "novelty": one.novelty,
        "users": one.users,
        **{f"{name}@{k}": round(value, _DIGITS) for name, value in one.figures.items()},
        "ms_per_query": round(one.ms_per_query, 3),
    }


def _kind(one: KindEffect, k: int) -> dict[str, Any]:
    return {
        "weight": one.weight,
        "signals": one.signals,
        "users": one.users,
        "without": _rounded(one.without, k),
        "with": _rounded(one.including, k),
        "difference": _intervals(one.difference, k),
        "verdict": one.verdict,
    }


def _exclusion(one: ExclusionEffect, k: int) -> dict[str, Any]:
    return {
        "listed": one.listed,
        "found": one.found,
        "likes": one.likes,
        "users": one.users,
        "including": _rounded(one.including, k),
        "without": _rounded(one.without, k),
        "difference": _intervals(one.difference, k),
        "verdict": one.verdict,
    }


def _rounded(means: dict[str, float], k: int) -> dict[str, float]:
    return {f"{name}@{k}": round(mean, _DIGITS) for name, mean in means.items()}


def _weights(found: WeightTuning, k: int) -> dict[str, Any]:
    return {
        "weights": dict(found.weights),
        "spent_s": round(found.spent_s, 1),
        "trials": [
            {"weights": dict(one.weights)} | _rounded({"recall": one.recall, "ndcg": one.ndcg}, k)
            for one in found.trials
        ],
    }


def _tuning(tuning: Tuning, k: int) -> dict[str, Any]:
    return {
        "weights": None if tuning.weights is None else _weights(tuning.weights, k),
        "on": "valid, fitted on train",
        "objective": f"mean of recall@{k} and ndcg@{k}",
        "users": tuning.users,
        "trials": tuning.trials,
        "budget_s": round(tuning.budget_s, 1),
        "spent_s": round(tuning.spent_s, 1),
        "not_reached": list(tuning.not_reached),
        "tuned": _trial(tuning.best, k),
        "untuned": _trial(tuning.default, k),
    }


def _trial(trial: Trial, k: int) -> dict[str, Any]:
    return {
        f"recall@{k}": round(trial.recall, _DIGITS),
        f"ndcg@{k}": round(trial.ndcg, _DIGITS),
        "recipe": msgspec.to_builtins(trial.recipe),
    }


def _ranker(one: Summary, k: int) -> dict[str, Any]:
    return {
        **_means(one.figures, k),
        f"coverage@{k}": round(one.coverage, _DIGITS),
        "users": one.figures.users,
        "intervals": _intervals(one.figures.intervals, k),
        "against_default": _intervals(one.against_default, k),
        "groups": [
            {
                "likes": [group.low, group.high],
                "users": group.figures.users,
                **_means(group.figures, k),
                "intervals": _intervals(group.figures.intervals, k),
            }
            for group in one.groups
        ],
        "build_s": round(one.build_s, 2),
        "ms_per_query": round(one.ms_per_query, 3),
        "recipe": None if one.recipe is None else msgspec.to_builtins(one.recipe),
    }


def _means(figures: Figures, k: int) -> dict[str, float]:
    return _rounded(figures.means, k)


def _intervals(intervals: dict[str, Interval], k: int) -> dict[str, list[float]]:
    return {
        f"{name}@{k}": [round(low, _DIGITS), round(high, _DIGITS)]
        for name, (low, high) in intervals.items()
    }
