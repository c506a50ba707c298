"""What `ranker=auto` loses by its choice: `python -m benchmarks.choice likes.csv.gz …`.

For each file and seed a model is built as the indexer does, from all likes but those of the test. Every recipe of
auto's list is then measured on the test, too. The regret is what the chosen one lacks to the best: the best on one
half of the test users, both measured on the other half, so that it is not best by chance. It can be negative.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple, cast

import numpy as np
import typer

from indexer.candidates import candidates
from indexer.choice import build_best
from indexer.progress import Unwatched
from indexer.recipes import DEFAULTS
from indexer.steps import Steps
from likewise.evaluation.likes.held_out import hold_out
from likewise.evaluation.likes.sources import likes_of_file
from likewise.evaluation.likes.splits import divide
from likewise.evaluation.likes.table import Split
from likewise.evaluation.tuning.workbench import Workbench
from likewise.operations.files.options import ReadOptions
from likewise.operations.files.reading import read_rows
from likewise.settings import ModelSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from likewise.evaluation.likes.held_out import HeldOut
    from likewise.evaluation.likes.table import LikeTable
    from likewise.ranking.recipe import Recipe
    from likewise.settings.types import Effort

_LIST = 20


class Regret(NamedTuple):
    """Of one choice, in percent of the mean of recall@20 and nDCG@20."""

    gain: float
    """Of what was chosen, over the default."""
    regret: float
    """Of what was chosen, to the best."""


def main(
    files: Annotated[list[Path], typer.Argument(help="Likes, as `likewise evaluate` reads them.")],
    seeds: Annotated[int, typer.Option(help="How many seeds: 0, 1, …")] = 5,
    users: Annotated[int, typer.Option(help="How many test users of each file.")] = 5_000,
    effort: Annotated[str, typer.Option(help="`model.effort`.")] = "balanced",
) -> None:
    """Print a table in Markdown."""
    typer.echo("| file | seed | users | recipe | gain over the default | regret |")
    typer.echo("| --- | --- | --- | --- | --- | --- |")
    regrets = []
    for file in files:
        likes = _likes(file)
        for seed in range(seeds):
            settings = ModelSettings(seed=seed, effort=cast("Effort", effort))
            held_out = _held_out(likes, seed)
            recipe = build_best(held_out.fit, settings, steps=Steps()).recipe
            scores = scores_on_test(held_out, settings, users)
            found = regret_of(recipe, scores, seed)
            regrets.append(found.regret)
            count = len(scores[recipe])
            typer.echo(
                f"| {file.name.partition('.')[0]} | {seed} | {count} | {described(recipe)} "
                f"| {found.gain:+.1f}% | {found.regret:+.1f}% |"
            )
    typer.echo(f"\nregret: mean {np.mean(regrets):.1f}%, worst {max(regrets):.1f}%")


def scores_on_test(
    held_out: HeldOut, settings: ModelSettings, users: int
) -> dict[Recipe, NDArray[np.float64]]:
    """Return the score of each recipe of auto's list for each of some test users, [users]."""
    everybody = np.random.default_rng(settings.seed).permutation(len(held_out.user_rows))
    blend = DEFAULTS["blend"]
    bench = Workbench(held_out, blend, blend.rank, k=_LIST, seed=settings.seed)
    tried = candidates(settings, held_out.fit.user_items)
    some = np.sort(everybody[:users])
    return {recipe: bench.try_out(recipe, some).of_users for recipe in tried}


def regret_of(recipe: Recipe, scores: dict[Recipe, NDArray[np.float64]], seed: int) -> Regret:
    """Return how the recipe compares with the others on these users [users]; the first recipe is the default."""
    of_all = np.stack([*scores.values()])
    place = [*scores].index(recipe)
    order = np.random.default_rng(seed).permutation(of_all.shape[1])
    lost = []
    for ours, others in _halves(order):
        best = of_all[:, ours].mean(axis=1).argmax()
        there = of_all[:, others].mean(axis=1)
        lost.append(1 - there[place] / there[best])
    means = of_all.mean(axis=1)
    return Regret(100 * float(means[place] / means[0] - 1), 100 * float(np.mean(lost)))


def _halves(order: NDArray[np.intp]) -> Sequence[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    first, second = order[::2], order[1::2]
    return (first, second), (second, first)


def described(recipe: Recipe) -> str:
    """Return what the recipe differs in from its ranker's default."""
    default = DEFAULTS[recipe.ranker]
    numbers = [
        f"{name} = {getattr(recipe, name):g}"
        for name in recipe.__struct_fields__
        if getattr(recipe, name) != getattr(default, name)
    ]
    return ", ".join([recipe.ranker, *numbers])


def _likes(file: Path) -> LikeTable:
    options = ReadOptions(split="split")
    return likes_of_file(read_rows(file, options), Unwatched(), options=options).likes


def _held_out(likes: LikeTable, seed: int) -> HeldOut:
    splits = divide(likes, seed=seed).splits
    return hold_out(likes, splits, fit=(Split.TRAIN, Split.VALID), wanted=Split.TEST)


if __name__ == "__main__":
    typer.run(main)
