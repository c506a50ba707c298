"""The models to measure: the served model, all rankers, and the baselines."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from msgspec import structs

from indexer.build import assemble
from indexer.cooccurrence import no_links
from indexer.factors import Factors, factorise, matrix_of
from indexer.recipes import DEFAULTS
from indexer.service import building
from indexer.steps import Steps
from likewise.evaluation.ranking import with_exact_neighbours
from likewise.ranking.recipe import RANKERS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from typing import Any

    from indexer.interactions import Interactions
    from indexer.progress import Progress
    from likewise.ranking.model import Model
    from likewise.ranking.recipe import Recipe
    from likewise.settings import ModelSettings

POPULAR = "popular"
EXACT_NEIGHBOURS = "exact_neighbours"
NAMES: tuple[str, ...] = (*RANKERS, EXACT_NEIGHBOURS, POPULAR)
"""All rankers and baselines; `neighbours` is the original ranker."""

_USERS_AT_ONCE = 16_384


class Contender(NamedTuple):
    """A model to measure, and its name in the results."""

    name: str
    model: Model
    build_s: float
    choice: dict[str, Any] | None = None
    """The recipes that `ranker=auto` tried, with their results."""

    @property
    def blind(self) -> bool:
        """Whether it ignores the user's likes."""
        return self.name == POPULAR


def serving(fit: Interactions, settings: ModelSettings, progress: Progress) -> Contender:
    """Return the model that the indexer would build, named after its ranker.

    If its parameters are not the ranker's defaults, the name is `auto` if the build chose them and
    `configured` if they come from the settings.
    """
    started_s = time.perf_counter()
    model, report = building(settings)(
        fit, lambda step: progress.step(f"model that serves: {step}")
    )
    recipe = model.recipe
    name: str = recipe.ranker
    if recipe != DEFAULTS[recipe.ranker]:
        name = "auto" if report.choice and report.choice["chosen"] else "configured"
    return Contender(name, model, time.perf_counter() - started_s, report.choice)


def others(
    fit: Interactions,
    served: Contender,
    names: Collection[str],
    *,
    seed: int,
    progress: Progress,
) -> Iterator[Contender]:
    """Yield the named rankers and baselines, except the served model.

    In addition to the served model, one model is in memory at a time. Recipes with equal exponents
    share factors.
    """
    bench = Bench(fit, seed=seed, progress=progress, known=served.model)
    for name in RANKERS:
        nearest = name == "neighbours" and EXACT_NEIGHBOURS in names
        if not nearest and (name not in names or name == served.name):
            continue
        contender = served if name == served.name else bench.build(name, DEFAULTS[name])
        if name in names and name != served.name:
            yield contender
        if nearest:
            yield contender._replace(
                name=EXACT_NEIGHBOURS, model=with_exact_neighbours(contender.model)
            )
    if POPULAR in names:
        yield served._replace(name=POPULAR, build_s=0.0, choice=None)


class Bench:
    """Builds models of the same interactions, and reuses the last factors for the next recipe."""

    def __init__(
        self, fit: Interactions, *, seed: int, progress: Progress, known: Model | None = None
    ) -> None:
        """Start with the vectors of the model `known`."""
        self._fit = fit
        self._seed = seed
        self._progress = progress
        self._last: tuple[Recipe, Factors] | None = None
        if known is not None and known.recipe.rank:
            # As if of a recipe without a sparse part: that of a model is weighted for its own.
            self._last = structs.replace(known.recipe, ranker="spectral"), _factors_in(known)

    def build(self, name: str, recipe: Recipe) -> Contender:
        """Return the model of the recipe; `build_s` does not include factors that are reused."""
        started_s = time.perf_counter()
        steps = Steps(on_step=lambda step: self._progress.step(f"{name}: {step}"))
        factors = self._factors(recipe, steps)
        model = assemble(self._fit, factors, recipe, seed=self._seed, steps=steps)
        return Contender(name, model, time.perf_counter() - started_s)

    def _factors(self, recipe: Recipe, steps: Steps) -> Factors:
        if self._last is None or not _serves(self._last[0], recipe):
            self._last = None  # frees them before the next ones are made
            factors = factorise(self._fit.user_items, recipe, seed=self._seed, steps=steps)
            self._last = recipe, factors
        return self._last[1]


def _factors_in(model: Model) -> Factors:
    """Return the model's vectors with their Rayleigh quotients, and an empty sparse part."""
    recipe, vectors = model.recipe, model.item_factors
    normalised = matrix_of(model.user_items, recipe)
    eigenvalues = np.zeros(vectors.shape[1], np.float32)
    for start in range(0, normalised.shape[0], _USERS_AT_ONCE):
        projected = normalised[start : start + _USERS_AT_ONCE] @ vectors
        eigenvalues += np.square(projected).sum(axis=0)
    return Factors(eigenvalues, vectors, no_links(len(vectors)))


def _serves(made: Recipe, wanted: Recipe) -> bool:
    """Whether the factors of one recipe are those of another, or hold them."""
    same_matrix = (made.user_exponent, made.item_exponent) == (
        wanted.user_exponent,
        wanted.item_exponent,
    )
    if not same_matrix or made.rank < wanted.rank:
        return False
    if wanted.ranker in ("spectral", "neighbours"):
        return True  # the sparse part is left aside
    kind = ["ranker", "rank", "similar_items", *(["ridge"] if wanted.ranker == "ridge" else [])]
    return all(getattr(made, name) == getattr(wanted, name) for name in kind)
