"""Building a model: interactions in, arrays out. Pure, but for the timing of its steps.

`factorise` does the costly part, which several recipes can share; `assemble` makes a model of it.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from indexer.cooccurrence import cooccurrence, residual
from indexer.svd import item_degrees, normalise, truncated_svd
from likewise.ranking.annoy_vectors import AnnoyVectors
from likewise.ranking.model import Model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from indexer.interactions import Interactions
    from likewise.ranking.model import FloatArray
    from likewise.ranking.recipe import Recipe


@dataclass(slots=True)
class BuildReport:
    """How a build went: seconds of each step, and what `auto` chose and why."""

    seconds: dict[str, float] = field(default_factory=dict)
    choice: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Factors:
    """The normalised matrix and its largest singular values and vectors."""

    normalised: Any
    """R, CSR float32 [m, n]."""
    eigenvalues: FloatArray
    """[d] of R'R, falling: the squares of R's singular values."""
    vectors: FloatArray
    """[n, d] right singular vectors."""


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
    with steps("svd"):
        factors = factorise(interactions.user_items, recipe, seed=seed)
    return assemble(interactions, factors, recipe, seed=seed, steps=steps)


def factorise(user_items: Any, recipe: Recipe, *, seed: int) -> Factors:
    """Return R and its factors under the recipe's exponents and rank."""
    normalised = normalise(user_items, recipe.user_exponent, recipe.item_exponent)
    values, vectors = truncated_svd(normalised, recipe.rank, seed=seed)
    return Factors(normalised, values**2, vectors)


def assemble(
    interactions: Interactions, factors: Factors, recipe: Recipe, *, seed: int, steps: _Steps
) -> Model:
    """Return the model that the factors give under the recipe."""
    user_items = interactions.user_items
    degrees = item_degrees(user_items)
    spectrum, tail = filtered(factors.eigenvalues, recipe)
    query_weights = _power(degrees, -recipe.query_exponent)
    score_weights = _power(degrees, recipe.score_exponent)
    with steps("co-occurrence"):
        similar = _similar(factors, tail, recipe)
        rows = np.repeat(np.arange(len(degrees)), np.diff(similar.indptr))
        similar.data *= np.float32(tail) * query_weights[rows] * score_weights[similar.indices]
    with steps("annoy"):
        items = factors.vectors * score_weights[:, None]
        item_index = AnnoyVectors.build(items, metric="dot", trees=recipe.trees, seed=seed)
        user_index = None
        if recipe.ranker == "neighbours":
            users = user_items.multiply(query_weights[None, :]).tocsr() @ factors.vectors
            user_index = AnnoyVectors.build(users, metric="angular", trees=recipe.trees, seed=seed)
    return Model(
        recipe=recipe,
        item_ids=interactions.item_ids,
        item_counts=degrees.astype(np.int32),
        user_items=user_items,
        item_factors=factors.vectors,
        spectrum=spectrum,
        query_weights=query_weights,
        score_weights=score_weights,
        cooccurrence=similar,
        item_index=item_index,
        user_index=user_index,
    )


def filtered(eigenvalues: FloatArray, recipe: Recipe) -> tuple[FloatArray, float]:
    """Return the spectral filter h [d] and the factor t of the sparse part.

    The formulas stand in `likewise.ranking.blend`.
    """
    if recipe.ranker == "cooccurrence" or not len(eigenvalues):
        return np.zeros_like(eigenvalues), 1.0
    shrunk = eigenvalues / np.maximum(eigenvalues + np.float32(recipe.ridge), _TINY)
    last = float(eigenvalues[-1])
    blended = recipe.ranker == "blend" and last > _TINY
    return shrunk, float(shrunk[-1]) / last if blended else 0.0


_TINY = np.finfo(np.float32).tiny


def _similar(factors: Factors, tail: float, recipe: Recipe) -> Any:
    """Return the sparse part of the model, before its weights, CSR [n, n]."""
    n_items = len(factors.vectors)
    if not tail:
        return sparse.csr_array((n_items, n_items), dtype=np.float32)
    if recipe.ranker == "cooccurrence":
        return cooccurrence(factors.normalised, keep=recipe.similar_items)
    return residual(
        factors.normalised, factors.eigenvalues, factors.vectors, keep=recipe.similar_items
    )


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


def _power(degrees: Any, exponent: float) -> FloatArray:
    powers: FloatArray = np.maximum(degrees, 1).astype(np.float32) ** np.float32(exponent)
    return powers
