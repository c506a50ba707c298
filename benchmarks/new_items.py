"""New items: how close their scores are to those of the next build, and what exploration costs in recall.

python -m benchmarks.new_items likes.csv.gz        # user_id,item_id,split with train and test
"""

from __future__ import annotations

import csv
import gzip
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import numpy as np
import typer

from indexer.build import build_model
from indexer.interactions import UserLikes, interactions_of
from indexer.recipes import DEFAULTS
from likewise.catalogue.catalogue import Catalogue
from likewise.messages.ids import ItemId, UserId
from likewise.messages.items import CatalogueItem
from likewise.messages.requests import Request
from likewise.ranking.additions import Additions
from likewise.ranking.best_items import weighted_likes
from likewise.ranking.queries import Query, in_rows
from likewise.ranking.recommend import recommend
from likewise.ranking.scan import score_all
from serving.listing import Lists

if TYPE_CHECKING:
    from likewise.ranking.model import Model

Likes = dict[UserId, set[ItemId]]

_COUNT = 20
_USERS = 2_000
_NEW_ITEMS = 60
_LIKES_OF_A_NEW_ITEM = (3, 10)
_SHARES = (0.0, 0.05, 0.1, 0.2, 0.3)


class Closeness(msgspec.Struct):
    """The scores of new items, compared with those that the next model gives the same items."""

    likes: int
    correlation: float
    slope: float
    """Of their scores by the next model's."""


class Exploration(msgspec.Struct):
    """Lists with a share of places for items that nobody likes: what is lost, at most."""

    explore: float
    recall: float
    ndcg: float
    explored: float
    """Share of the places."""


def measure(path: Path) -> tuple[list[Closeness], list[Exploration]]:
    """Return both measurements of a file of likes."""
    train, test = _read(path)
    closeness = [_closeness(train, likes) for likes in _LIKES_OF_A_NEW_ITEM]
    return closeness, _exploration(train, test)


def _closeness(train: Likes, n_likes: int) -> Closeness:
    """Take items out, build; give each back so many of its likes; compare with another build."""
    draw = np.random.default_rng(0)
    counts: dict[ItemId, int] = {}
    for items in train.values():
        for item in items:
            counts[item] = counts.get(item, 0) + 1
    often = sorted(item for item, count in counts.items() if count >= 2 * n_likes)
    new = [often[place] for place in draw.choice(len(often), _NEW_ITEMS, replace=False)]
    before = {user: left for user, items in train.items() if (left := items.difference(new))}
    likers = {item: [user for user in before if item in train[user]] for item in new}
    likers = {
        item: [users[place] for place in draw.permutation(len(users))[:n_likes]]
        for item, users in likers.items()
    }
    after = {user: set(items) for user, items in before.items()}
    for item, users in likers.items():
        for user in users:
            after[user].add(item)
    old, following = _model(before), _model(after)
    named = {user: after[user] for users in likers.values() for user in users}
    additions = Additions.of(old, likers, named)
    queries = [Query(items, items, _COUNT) for items in list(before.values())[:_USERS]]
    ours = additions.scores(old, weighted_likes(old, in_rows(old, queries))).ravel()
    rows = [following.item_rows[item] for item in new]
    theirs = score_all(following, weighted_likes(following, in_rows(following, queries)))[:, rows]
    theirs = theirs.ravel()
    return Closeness(
        n_likes, float(np.corrcoef(ours, theirs)[0, 1]), float(ours @ theirs / (theirs @ theirs))
    )


def _exploration(train: Likes, test: Likes) -> list[Exploration]:
    """Rank for users with test likes, with new items in the catalogue that no test like is of."""
    model, catalogue = _model(train), Catalogue()
    fresh = [ItemId(f"fresh {number}") for number in range(500)]
    catalogue.apply(
        (item, CatalogueItem(item, published_at_ms=number)) for number, item in enumerate(fresh)
    )
    lists = Lists((), catalogue.aligned(model), (model.item_rows,), frozenset(), 0)
    users = [user for user in test if user in train][:_USERS]
    found = []
    for share in _SHARES:
        asked = [
            (
                Request(user_id=user, count=_COUNT, explore=share),
                Query(train[user], train[user], _COUNT),
            )
            for user in users
        ]
        answers = lists.rank(lambda queries: recommend(model, queries), asked)
        ranked = [[item.item_id for item in answer.items] for answer in answers]
        scored = [
            _recall_and_ndcg(items, test[user]) for items, user in zip(ranked, users, strict=True)
        ]
        recall, ndcg = np.mean(scored, axis=0).tolist()
        explored = sum(len(answer.explored) for answer in answers) / (_COUNT * len(users))
        found.append(Exploration(share, recall, ndcg, explored))
    return found


def _recall_and_ndcg(items: list[ItemId], wanted: set[ItemId]) -> tuple[float, float]:
    hits = np.array([item in wanted for item in items])
    discounts = 1 / np.log2(np.arange(2, _COUNT + 2))
    ideal = discounts[: len(wanted)].sum()
    return hits.sum() / len(wanted), float(hits @ discounts[: len(hits)] / ideal)


def _model(likes: Likes) -> Model:
    return build_model(
        interactions_of([UserLikes(list(likes), list(likes.values()))]), DEFAULTS["blend"], seed=0
    )


def _read(path: Path) -> tuple[Likes, Likes]:
    train: Likes = {}
    test: Likes = {}
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            likes = test if row["split"] == "test" else train
            likes.setdefault(UserId(row["user_id"]), set()).add(ItemId(row["item_id"]))
    return train, test


def main(path: Annotated[Path, typer.Argument(help="A gzipped CSV with a column split.")]) -> None:
    """Measure new items on a file of likes."""
    closeness, exploration = measure(path)
    for result in (*closeness, *exploration):
        typer.echo(msgspec.json.encode(result))


if __name__ == "__main__":
    typer.run(main)
