"""Building a model: interactions in, arrays out. Pure, but for the timing of its steps."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from indexer.cooccurrence import similar_items
from indexer.svd import item_degrees, normalise, truncated_svd
from likewise.ranking import cooccurrence, spectral
from likewise.ranking.annoy_vectors import AnnoyVectors
from likewise.ranking.model import Model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from indexer.interactions import Interactions
    from likewise.ranking.model import FloatArray
    from likewise.ranking.recipe import Recipe

# Users whose scores set the scale of the two parts of the blend.
_SCALE_SAMPLE = 256


@dataclass(slots=True)
class BuildReport:
    """How a build went: seconds of each step, and what `auto` chose and why."""

    seconds: dict[str, float] = field(default_factory=dict)
    choice: dict[str, Any] | None = None


def build_model(
    interactions: Interactions,
    recipe: Recipe,
    *,
    seed: int = 0,
    report: BuildReport | None = None,
    on_step: Callable[[str], None] = lambda step: None,
) -> Model:
    """Return the model of these interactions; the same input gives the same model.

    An empty or tiny store gives an empty or tiny model, which answers with popular items.
    `on_step` is told the name of each step as it begins.
    """
    steps = _Steps(report or BuildReport(), on_step)
    user_items = interactions.user_items
    degrees = item_degrees(user_items)
    with steps("svd"):
        normalised = normalise(user_items, recipe.user_exponent, recipe.item_exponent)
        values, factors = truncated_svd(normalised, recipe.rank, seed=seed)
    with steps("co-occurrence"):
        similar = _similarity(user_items, degrees, recipe)
    with steps("annoy"):
        score_weights = _power(degrees, recipe.score_exponent)
        query_weights = _power(degrees, -recipe.query_exponent)
        item_index = _index(factors * score_weights[:, None], "dot", recipe, seed)
        user_index = None
        if recipe.ranker == "neighbours":
            users = (user_items.multiply(query_weights[None, :]).tocsr()) @ factors
            user_index = _index(users, "angular", recipe, seed)
    model = Model(
        recipe=recipe,
        item_ids=interactions.item_ids,
        item_counts=degrees.astype(np.int32),
        user_items=user_items,
        item_factors=factors,
        spectrum=ridge_filter(values, recipe.ridge),
        query_weights=query_weights,
        score_weights=score_weights,
        cooccurrence=similar,
        item_index=item_index,
        user_index=user_index,
    )
    return _scaled(model, seed)


def ridge_filter(values: FloatArray, ridge: float) -> FloatArray:
    """Return ``f(s) = s^2 / (s^2 + ridge * s_d^2)``; all ones without ridge, float32 [d].

    The filter of ridge regression in the space of the singular vectors (Hastie et al., "The
    Elements of Statistical Learning", eq. 3.47).
    """
    if not len(values):
        return values
    squared = values**2
    damped = squared + np.float32(ridge) * squared[-1]
    return np.divide(squared, damped, out=np.zeros_like(squared), where=damped > 0)


class _Steps:
    """Names, announces and times the steps of a build."""

    def __init__(self, report: BuildReport, on_step: Callable[[str], None]) -> None:
        self._report = report
        self._on_step = on_step

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        self._on_step(name)
        started_s = time.perf_counter()
        yield
        self._report.seconds[name] = round(time.perf_counter() - started_s, 3)


def _similarity(user_items: Any, degrees: Any, recipe: Recipe) -> Any:
    if recipe.ranker == "neighbours":
        return sparse.csr_array((len(degrees), len(degrees)), dtype=np.float32)
    return similar_items(
        normalise(user_items, recipe.pair_user_exponent, 0.0),
        _power(degrees, -recipe.pair_query_exponent),
        _power(degrees, -recipe.pair_score_exponent),
        neighbours=recipe.similar_items,
    )


def _scaled(model: Model, seed: int) -> Model:
    """Return the model with both parts of the blend scaled to unit root mean square."""
    users = model.user_items.shape[0]
    sample = np.random.default_rng(seed).permutation(users)[:_SCALE_SAMPLE]
    likes = model.user_items[np.sort(sample)]
    parts = spectral.scores(model, likes), cooccurrence.scores(model, likes)
    spectral_scale, pair_scale = (_root_mean_square(part) for part in parts)
    model.spectrum[:] /= spectral_scale
    model.cooccurrence.data /= pair_scale
    return model


def _root_mean_square(scores: FloatArray) -> np.float32:
    if not scores.size:
        return np.float32(1)
    return np.float32(np.sqrt(np.mean(np.square(scores, dtype=np.float64))) or 1.0)


def _index(vectors: FloatArray, metric: Any, recipe: Recipe, seed: int) -> AnnoyVectors:
    return AnnoyVectors.build(vectors, metric=metric, trees=recipe.trees, seed=seed)


def _power(degrees: Any, exponent: float) -> FloatArray:
    return np.maximum(degrees, 1).astype(np.float32) ** np.float32(exponent)
