"""What a dislike does to the next answer, on real likes: `python -m benchmarks.dislikes likes.csv.gz`.

Each user dislikes one or more of the first 20 items that are not among the user's held-out likes. Reported
for each weight, and for hidden items (weight 0): the rank among all items of the 20 items that are nearest
to the first disliked one, by the cosine that diversity uses, and the recall of the held-out likes.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import numpy as np
import typer

from indexer.build import build_model
from indexer.progress import Unwatched
from indexer.recipes import DEFAULTS
from likewise.evaluation.likes.held_out import hold_out
from likewise.evaluation.likes.sources import likes_of_file
from likewise.evaluation.likes.splits import divide
from likewise.evaluation.likes.table import Split
from likewise.operations.files.options import ReadOptions
from likewise.operations.files.reading import read_rows
from likewise.ranking.best_items import weighted_likes
from likewise.ranking.diversity import PoolVectors
from likewise.ranking.queries import RowQuery
from likewise.ranking.scan import score_all

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from likewise.evaluation.likes.held_out import HeldOut
    from likewise.ranking.model import Model

WEIGHTS = (0.0, -0.1, -0.2, -0.35, -0.5, -0.75, -1.0, -2.0)
_SHOWN = 20
_NEAREST = 20
_BATCH = 128


class Asked(NamedTuple):
    """A user, the items that the user dislikes, and the nearest items of the first; in rows."""

    liked: NDArray[np.intp]
    wanted: NDArray[np.intp]
    disliked: NDArray[np.intp]
    nearest: NDArray[np.intp]

    def query(self, weight: float) -> RowQuery:
        """Return the query after the dislikes; weight 0 hides the items."""
        banned = np.sort(np.concatenate([self.liked, self.disliked]))
        if not weight:
            return RowQuery(self.liked, banned, _SHOWN)
        weights = np.where(np.isin(banned, self.disliked), weight, 1).astype(np.float32)
        return RowQuery(banned, banned, _SHOWN, weights=weights)


class Effect(NamedTuple):
    """The means over the users."""

    rank: float
    """Of the nearest items among all, from 1; the median over the users of their mean."""
    shown: float
    """How many of the nearest are among the first 20."""
    recall: float


def main(
    file: Annotated[Path, typer.Argument(help="Likes, as `likewise evaluate` reads them.")],
    users: Annotated[int, typer.Option(help="How many users dislike an item.")] = 1_000,
    dislikes: Annotated[int, typer.Option(help="How many items each of them dislikes.")] = 1,
    seed: Annotated[int, typer.Option(help="Determines users, items and split.")] = 0,
) -> None:
    """Print a table in Markdown."""
    held_out = _held_out(file, seed)
    model = build_model(held_out.fit, DEFAULTS["blend"])
    asked = [*_asked(model, held_out, users, dislikes, np.random.default_rng(seed))]
    hidden = effect(model, asked, 0.0)
    typer.echo(f"{len(asked)} users\n")
    typer.echo("| weight | rank of the nearest | times | of them shown | recall@20 | change |")
    typer.echo("| --- | --- | --- | --- | --- | --- |")
    for weight in WEIGHTS:
        found = effect(model, asked, weight) if weight else hidden
        typer.echo(
            f"| {weight:g} | {found.rank:.0f} | {found.rank / hidden.rank:.2f} | {found.shown:.2f} "
            f"| {found.recall:.4f} | {100 * (found.recall / hidden.recall - 1):+.1f}% |"
        )


def effect(model: Model, asked: list[Asked], weight: float) -> Effect:
    """Return the effect of the dislikes at a weight."""
    ranks, shown, recalls = [], [], []
    for start in range(0, len(asked), _BATCH):
        batch = asked[start : start + _BATCH]
        queries = [one.query(weight) for one in batch]
        for one, query, scores in zip(
            batch, queries, score_all(model, weighted_likes(model, queries)), strict=True
        ):
            scores[query.banned] = -np.inf
            near = 1 + (scores[None, :] > scores[one.nearest, None]).sum(axis=1)
            top = np.argpartition(-scores, _SHOWN)[:_SHOWN]
            ranks.append(near.mean())
            shown.append((near <= _SHOWN).sum())
            recalls.append(np.isin(one.wanted, top).mean())
    return Effect(float(np.median(ranks)), float(np.mean(shown)), float(np.mean(recalls)))


def _held_out(file: Path, seed: int) -> HeldOut:
    options = ReadOptions(split="split")
    likes = likes_of_file(read_rows(file, options), Unwatched(), options=options).likes
    splits = divide(likes, seed=seed).splits
    return hold_out(likes, splits, fit=(Split.TRAIN, Split.VALID), wanted=Split.TEST)


def _asked(
    model: Model, held_out: HeldOut, users: int, dislikes: int, draw: np.random.Generator
) -> Iterator[Asked]:
    liked = held_out.liked()
    vectors = PoolVectors.of(model, np.arange(len(model.item_ids)))
    for user in draw.permutation(len(liked))[:users].tolist():
        wanted = held_out.wanted[[user]].indices.astype(np.intp)
        if not len(wanted) or not len(liked[user]):
            continue
        (scores,) = score_all(model, weighted_likes(model, [RowQuery(liked[user], liked[user], 1)]))
        scores[liked[user]] = -np.inf
        scores[wanted] = -np.inf
        disliked = draw.choice(np.argpartition(-scores, _SHOWN)[:_SHOWN], dislikes, replace=False)
        cosines = vectors.similar_to(int(disliked[0]))
        cosines[~vectors.known] = -1
        cosines[[*disliked, *liked[user]]] = -1
        nearest = np.argpartition(-cosines, _NEAREST)[:_NEAREST]
        yield Asked(liked[user], wanted, disliked, nearest)


if __name__ == "__main__":
    typer.run(main)
