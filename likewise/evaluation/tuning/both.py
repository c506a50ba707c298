"""The whole search: weights of signals first, if there are other kinds, then the recipe with these weights."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from likewise.evaluation.likes.held_out import hold_out
from likewise.evaluation.likes.table import Split
from likewise.evaluation.tuning.search import Tuning, tune
from likewise.evaluation.tuning.weights import tunable, tune_weights

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from indexer.progress import Progress
    from likewise.evaluation.likes.table import LikeTable
    from likewise.messages.ids import SignalKind

# Of the budget, if there are weights to search for.
_SHARE_FOR_WEIGHTS = 0.5


def tune_all(
    likes: LikeTable,
    splits: NDArray[np.int8],
    given: Mapping[SignalKind, float],
    *,
    k: int,
    seed: int,
    budget_s: float,
    progress: Progress,
) -> Tuning:
    """Return the best recipe, and the best weights if there are other kinds; `given` are those of the settings.

    Raises:
        EvaluationError: no like is in valid.
    """
    weights = None
    if tunable(likes, given):
        weights = tune_weights(
            likes,
            splits,
            given,
            k=k,
            seed=seed,
            budget_s=_SHARE_FOR_WEIGHTS * budget_s,
            progress=progress,
        )
    held_out = hold_out(
        likes,
        splits,
        fit=[Split.TRAIN],
        wanted=Split.VALID,
        weights=given if weights is None else weights.weights,
    )
    spent_s = 0.0 if weights is None else weights.spent_s
    tuning = tune(held_out, k=k, seed=seed, budget_s=budget_s - spent_s, progress=progress)
    return replace(tuning, weights=weights)
