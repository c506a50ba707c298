"""How much of the exact ranking the search for large catalogues finds, and in what time."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import typer
from msgspec import structs
from threadpoolctl import threadpool_limits

from benchmarks.measure import AsJson, Full, Quick, alternate, report
from benchmarks.peers import PEERS, missing
from benchmarks.results import Curve, Figure, Plot, Result, against, ratio
from benchmarks.rig import interactions
from benchmarks.synthetic import synthetic_likes
from indexer.build import build_model
from indexer.recipes import DEFAULTS
from likewise.ranking import blend
from likewise.ranking.item_index import build_item_index, faiss_is_installed, kind_for
from likewise.ranking.queries import RowQuery
from likewise.ranking.recommend import recommend_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.peers import Peer, Search
    from likewise.ranking.array_types import FloatArray
    from likewise.ranking.model import Model
    from likewise.ranking.recipe import RankerName

QUESTION = """\
Serving, without topics: batches of 256 users of the model, and single users, are ranked by the search for large
catalogues, with the index of Annoy and with that of faiss, and by the scan of every item, through the function that
answers requests; recall@20 is the share of the scan's 20 best that the search names. Likes per user are the same at
every size. `neighbours` always searches the users; at its sizes the items stay the same. Curve: the 20 largest
inner products of the same item vectors and queries, one query and one thread at a time, by Annoy (20 trees), graphs
(16 links, effort 200 when built) and inverted lists of faiss (two for each root of the items)."""

_K = 20
_BATCH = 256
_EVERYTHING = 1 << 62


class Scale(NamedTuple):
    """How many users and items there are, who ranks, and of what rank."""

    users: int
    items: int
    ranker: RankerName = "blend"
    rank: int = 256

    def __str__(self) -> str:
        return f"{self.ranker}, {self.users:,} users × {self.items:,} items"


class Workload(NamedTuple):
    """How much is measured."""

    scales: tuple[Scale, ...]
    curve: Scale
    queries: int
    repetitions: int


QUICK = Workload(
    (Scale(300, 200, rank=16), Scale(300, 200, "neighbours", 16)),
    Scale(300, 200, rank=16),
    queries=20,
    repetitions=1,
)
NORMAL = Workload(
    (
        Scale(10_000, 10_000),
        Scale(10_000, 100_000),
        Scale(10_000, 10_000, "neighbours", 40),
        Scale(100_000, 10_000, "neighbours", 40),
    ),
    Scale(10_000, 20_000),
    queries=512,
    repetitions=3,
)
FULL = NORMAL._replace(
    scales=(
        *NORMAL.scales,
        Scale(100_000, 100_000),
        Scale(100_000, 1_000_000),
        Scale(1_000_000, 10_000, "neighbours", 40),
    ),
    curve=Scale(100_000, 100_000),
)


class Cost(NamedTuple):
    """What one scale costs."""

    search_ms: dict[str, Figure]
    """By index; of `neighbours` there is one, over users."""
    lone_ms: dict[str, Figure]
    """Of a request that is ranked alone."""
    scan_ms: Figure
    recalls: dict[str, float]


def measure(workload: Workload, *, quick: bool = False) -> Result:
    """Return the cost of the search and of the scan at each scale, and the peers' curves."""
    costs = {scale: _cost(scale, workload) for scale in workload.scales}
    curves, notes = _curves(workload)
    recalls = [
        against(Figure(f"recall@{_K}, {index}, {scale}", "share", [recall]), at_least=0.95)
        for scale, cost in costs.items()
        if scale.ranker != "neighbours"  # both look up the same users
        for index, recall in cost.recalls.items()
    ]
    ratios = [
        ratio(f"search / scan, {index}, {scale}", figure, cost.scan_ms)
        for scale, cost in costs.items()
        for index, figure in cost.search_ms.items()
    ]
    figures = [
        figure
        for cost in costs.values()
        for figure in (*cost.search_ms.values(), *cost.lone_ms.values(), cost.scan_ms)
    ]
    return Result(
        name="search",
        title="Search in large catalogues",
        question=QUESTION,
        parameters={"users asking": workload.queries, "items in the curve": workload.curve.items},
        figures=figures,
        comparisons=[*recalls, *ratios],
        plots=[
            Plot(
                "recall",
                f"Recall@{_K} of the largest inner products, by time",
                f"recall@{_K}",
                "ms a query",
                curves,
                log_y=True,
            )
        ],
        notes=notes,
        quick=quick,
    )


def _cost(scale: Scale, workload: Workload) -> Cost:
    models = _indexed(_model(scale))
    queries = _queries(next(iter(models.values())), workload.queries)
    answers: dict[str, list[set[int]]] = {}

    def contender(name: str, model: Model, exact_items_limit: int, batch: int) -> float:
        asked = queries[: workload.queries if batch > 1 else workload.queries // 4]
        began_s = time.perf_counter()
        answers[name] = _answers(model, asked, exact_items_limit, batch)
        return 1000 * (time.perf_counter() - began_s) / len(asked)

    contenders = {
        "scan": partial(contender, "scan", next(iter(models.values())), _EVERYTHING, _BATCH)
    }
    for index, model in models.items():
        contenders[index] = partial(contender, index, model, 0, _BATCH)
        contenders[f"{index}, alone"] = partial(contender, f"{index}, alone", model, 0, 1)
    with threadpool_limits(1, "blas"):  # as servers rank
        samples = alternate(contenders, repetitions=workload.repetitions)
    return Cost(
        {
            index: Figure(f"search, {index}, {scale}", "ms/query", samples[index])
            for index in models
        },
        {
            index: Figure(f"search alone, {index}, {scale}", "ms/query", samples[f"{index}, alone"])
            for index in models
        },
        Figure(f"scan, {scale}", "ms/query", samples["scan"], "floor"),
        {index: _recall(answers["scan"], answers[index]) for index in models},
    )


def _indexed(model: Model) -> dict[str, Model]:
    """Return the model with each index that there is for it."""
    models = {"annoy": model}
    kind = kind_for("faiss", len(model.item_ids))
    if kind == "faiss" and model.recipe.ranker != "neighbours" and faiss_is_installed():
        index = build_item_index(
            model.item_factors,
            model.score_weights,
            kind,
            linked=bool(model.cooccurrence.nnz),
            trees=model.recipe.trees,
            seed=0,
        )
        models["faiss"] = replace(model, item_index=index)
    return models


def _model(scale: Scale) -> Model:
    recipe = structs.replace(DEFAULTS[scale.ranker], rank=scale.rank)
    likes = interactions(synthetic_likes(scale.users, scale.items))
    return build_model(likes, recipe, index="annoy")


def _queries(model: Model, number: int) -> list[RowQuery]:
    likes = model.user_items
    drawn = np.random.default_rng(0).permutation(likes.shape[0])[:number]
    liked = [likes.indices[likes.indptr[user] : likes.indptr[user + 1]] for user in drawn]
    return [RowQuery(rows := each.astype(np.intp), rows, _K) for each in liked]


def _answers(
    model: Model, queries: Sequence[RowQuery], exact_items_limit: int, at_once: int
) -> list[set[int]]:
    found: list[set[int]] = []
    for start in range(0, len(queries), at_once):
        batch = queries[start : start + at_once]
        answers = recommend_rows(model, batch, exact_items_limit=exact_items_limit)
        found += [set(answer.rows.tolist()) for answer in answers]
    return found


def _recall(exact: Sequence[set[int]], found: Sequence[set[int]]) -> float:
    shares = [len(one & other) / len(one) for one, other in zip(exact, found, strict=True) if one]
    return float(np.mean(shares))


def _curves(workload: Workload) -> tuple[list[Curve], list[str]]:
    """Return a curve of (recall, ms a query) for each library, and notes on them."""
    model = _model(workload.curve)
    vectors = model.item_factors * model.score_weights[:, None]
    # By falling norm: a graph index of inner products finds little when long vectors come late.
    vectors = np.ascontiguousarray(vectors[np.argsort(-np.linalg.norm(vectors, axis=1))])
    drawn = np.random.default_rng(0).permutation(model.user_items.shape[0])[: workload.queries]
    queries = np.asarray(blend.fold_in(model, model.user_items[drawn]), np.float32)
    exact = [set(np.argpartition(-scores, _K)[:_K].tolist()) for scores in queries @ vectors.T]
    curves, notes = [], []
    for peer in PEERS:
        if why := missing(peer):
            notes.append(why)
            continue
        began_s = time.perf_counter()
        built = peer.build(vectors)
        built_s = time.perf_counter() - began_s
        curve = _curve(peer, built.search, queries, exact)
        curves.append(curve)
        points = ", ".join(f"{recall:.3f} in {ms:.2f} ms" for recall, ms in curve.points)
        memory = f"{built.size / len(vectors):,.0f} bytes an item, " + (
            "mapped" if peer.mapped else "in each process"
        )
        notes.append(f"{peer.name}: {memory}; built in {built_s:.1f} s; recall {points}.")
    return curves, notes


def _curve(peer: Peer, search: Search, queries: FloatArray, exact: Sequence[set[int]]) -> Curve:
    points = []
    for effort in peer.efforts:
        began_s = time.perf_counter()
        found = [search(vector, _K, effort) for vector in queries]
        ms = 1000 * (time.perf_counter() - began_s) / len(queries)
        points.append((_recall(exact, [set(rows.tolist()) for rows in found]), ms))
    return Curve(peer.name, points)


def main(quick: Quick = False, full: Full = False, as_json: AsJson = False) -> None:
    """Measure the search."""
    workload = QUICK if quick else FULL if full else NORMAL
    report(measure(workload, quick=quick), as_json=as_json)


if __name__ == "__main__":
    typer.run(main)
