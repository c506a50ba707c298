"""What the rules of a request add to ranking, next to a plain answer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import typer
from threadpoolctl import threadpool_limits

from benchmarks.measure import AsJson, Quick, alternate, report
from benchmarks.results import Figure, Result, ratio
from benchmarks.rig import interactions
from benchmarks.synthetic import synthetic_likes
from indexer.build import build_model
from likewise.ranking.queries import RowQuery, Rules
from likewise.ranking.recipe import Recipe
from likewise.ranking.recommend import recommend_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from likewise.ranking.model import Model

QUESTION = """\
Ranking alone, without topics: batches of 256 users of the model get their 20 best items, plain and
with one rule each. A filter passes its share of the items at random; the requests of a batch share it,
or each has another one. `boost` multiplies a tenth of the items, `max_per` allows two items of each of
500 groups, weights give each like a weight other than 1. CPU time of one thread, taken in turn: a
ratio compares what ran side by side."""

_K = 20
_BATCH = 256
_PASS = (0.5, 0.1, 0.01, 0.001)
_PLAIN = "plain"


class Workload(NamedTuple):
    """How much is measured."""

    users: int
    items: int
    rank: int
    queries: int
    repetitions: int


QUICK = Workload(users=300, items=200, rank=16, queries=40, repetitions=1)
NORMAL = Workload(users=100_000, items=20_000, rank=256, queries=1_024, repetitions=9)


def measure(workload: Workload, *, quick: bool = False) -> Result:
    """Return what an answer costs with and without each rule."""
    recipe = Recipe(rank=workload.rank)
    model = build_model(interactions(synthetic_likes(workload.users, workload.items)), recipe)
    with threadpool_limits(1, "blas"):  # as servers rank
        samples = alternate(
            {name: _contender(model, asked) for name, asked in _asked(model, workload).items()},
            repetitions=workload.repetitions,
        )
    plain = Figure(_PLAIN, "ms/query", samples.pop(_PLAIN), "floor")
    figures = [Figure(name, "ms/query", taken) for name, taken in samples.items()]
    return Result(
        name="filtering",
        title="Filters and rules",
        question=QUESTION,
        parameters={
            "users": workload.users,
            "items": workload.items,
            "users asking": workload.queries,
        },
        figures=[plain, *figures],
        comparisons=[
            ratio(f"{figure.name} / plain", figure, plain, at_most=1.2) for figure in figures
        ],
        quick=quick,
    )


def _asked(model: Model, workload: Workload) -> dict[str, list[RowQuery]]:
    """Return the queries of each contender, for the same users."""
    draw = np.random.default_rng(0)
    likes, n_items = model.user_items, len(model.item_ids)
    liked = [
        likes.indices[likes.indptr[user] : likes.indptr[user + 1]].astype(np.intp)
        for user in draw.permutation(likes.shape[0])[: workload.queries]
    ]

    def ask(rules: Rules | None) -> list[RowQuery]:
        return [RowQuery(rows, rows, _K, rules=rules) for rows in liked]

    shared = {f"filter, {share:g}": ask(Rules(draw.random(n_items) < share)) for share in _PASS}
    half = np.float32(0.5)
    return {
        _PLAIN: ask(None),
        **shared,
        "filter of each, 0.1": [
            query._replace(rules=Rules(draw.random(n_items) < 0.1)) for query in ask(None)
        ],
        "boost": ask(Rules(boost=np.where(draw.random(n_items) < 0.1, 1.5, 1).astype(np.float32))),
        "max_per": ask(Rules(max_per=(draw.integers(0, 500, n_items).astype(np.int32), 2))),
        "weights": [query._replace(weights=np.full(len(query.liked), half)) for query in ask(None)],
    }


def _contender(model: Model, queries: list[RowQuery]) -> Callable[[], float]:
    def contender() -> float:
        began_s = time.process_time()
        for start in range(0, len(queries), _BATCH):
            recommend_rows(model, queries[start : start + _BATCH])
        return 1000 * (time.process_time() - began_s) / len(queries)

    return contender


def main(quick: Quick = False, as_json: AsJson = False) -> None:
    """Measure the rules."""
    report(measure(QUICK if quick else NORMAL, quick=quick), as_json=as_json)


if __name__ == "__main__":
    typer.run(main)
