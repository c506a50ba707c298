"""A whole evaluation of likes whose structure is known, and what is said of it."""

from __future__ import annotations

import json
import re
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from msgspec import structs

from indexer.build import build_model
from indexer.progress import Unwatched
from indexer.recipes import DEFAULTS
from likewise.evaluation import contenders
from likewise.evaluation.evaluate import Evaluation, Options, evaluate
from likewise.evaluation.likes.sources import Read
from likewise.evaluation.likes.splits import divide
from likewise.evaluation.likes.table import LikeCollector, LikeTable, Stamp
from likewise.evaluation.ranking import approximation, rank, with_exact_neighbours
from likewise.evaluation.report.account import as_json
from likewise.evaluation.report.html import as_html
from likewise.evaluation.report.svg import Bar, bar_chart
from likewise.messages.events import Like
from likewise.messages.ids import ItemId, UserId
from likewise.ranking.queries import Query, RowQuery
from likewise.ranking.recommend import recommend
from likewise.ranking.scan import score_all
from likewise.settings import ModelSettings

if TYPE_CHECKING:
    from likewise.ranking.recipe import RankerName

K = 5
BLOCKS, USERS, ITEMS = 5, 12, 12


@cache
def block_likes() -> LikeTable:
    """Users like most items of their own block, and nothing else."""
    draw = np.random.default_rng(2)
    collector = LikeCollector()
    for block in range(BLOCKS):
        for user in range(USERS):
            for number in np.flatnonzero(draw.random(ITEMS) < 0.7):
                like = Like(UserId(f"b{block}-u{user}"), ItemId(f"b{block}-i{number}"))
                collector.add(like, Stamp())
    return collector.table()


@cache
def evaluation(**given: Any) -> Evaluation:
    likes = block_likes()
    settings = ModelSettings(ranker="blend")
    return evaluate(likes, divide(likes, seed=1), settings, Options(k=K, **given), Unwatched())


@cache
def account() -> dict[str, Any]:
    return as_json(evaluation(), Read(block_likes()), "likes.csv")


def test_every_ranker_finds_the_items_of_the_block_and_popularity_does_not() -> None:
    rankers = account()["rankers"]
    assert set(rankers) == set(contenders.NAMES)
    for name, figures in rankers.items():
        if name == "popular":
            assert figures["recall@5"] < 0.5
        else:
            assert figures["recall@5"] > 0.9, name


def test_the_account_is_json_and_names_what_serves() -> None:
    again = json.loads(json.dumps(account()))
    assert again["default"] == "blend"
    assert again["data"]["test_users"] == BLOCKS * USERS
    assert sum(again["data"][part] for part in ("train", "valid", "test")) == again["data"]["likes"]
    assert again["settings"]["k"] == K
    figures = again["rankers"]["blend"]
    assert figures["recipe"]["ranker"] == "blend"
    assert figures["against_default"] == {}
    for metric in ("recall@5", "ndcg@5", "hit_rate@5", "mrr@5", "novelty@5", "popular_share@5"):
        low, high = figures["intervals"][metric]
        assert low <= figures[metric] <= high


def test_the_options_of_requests_are_measured_against_asking_for_nothing() -> None:
    nothing, *asked = account()["options"]
    assert (nothing["diversity"], nothing["novelty"]) == (0, 0)
    served = account()["rankers"]["blend"]
    for metric in ("recall@5", "ndcg@5", "novelty@5", "popular_share@5", "coverage@5"):
        assert nothing[metric] == pytest.approx(served[metric]), metric
    assert {bool(one["diversity"]) for one in asked} == {True, False}
    for one in asked:
        assert one["users"] == BLOCKS * USERS
        if one["diversity"]:
            assert one["intra_list_diversity@5"] >= nothing["intra_list_diversity@5"]
        else:
            assert one["novelty@5"] >= nothing["novelty@5"]


def test_a_worse_ranker_differs_from_the_default_by_an_interval_below_zero() -> None:
    low, high = account()["rankers"]["popular"]["against_default"]["ndcg@5"]
    assert low < high < 0


def test_groups_divide_the_users_by_activity() -> None:
    groups = account()["rankers"]["blend"]["groups"]
    assert 2 <= len(groups) <= 4
    assert sum(group["users"] for group in groups) == BLOCKS * USERS
    for one, other in pairwise(groups):
        assert one["likes"][0] <= one["likes"][1] < other["likes"][0]


def test_the_same_seed_gives_the_same_figures() -> None:
    likes = block_likes()
    again = evaluate(
        likes, divide(likes, seed=1), ModelSettings(ranker="blend"), Options(k=K), Unwatched()
    )
    for one, other in zip(evaluation().summaries, again.summaries, strict=True):
        assert one.figures == other.figures
        assert one.coverage == other.coverage


def test_a_sample_limits_the_others_and_neither_what_serves_nor_the_original() -> None:
    found = evaluation(sample=10, rankers=("spectral", "neighbours", "popular"))
    users = {one.name: one.figures.users for one in found.summaries}
    everybody = BLOCKS * USERS
    assert users == {"blend": everybody, "spectral": 10, "neighbours": everybody, "popular": 10}


def test_without_a_ranker_named_only_what_serves_is_measured_and_auto_says_what_it_tried() -> None:
    likes = block_likes()
    found = evaluate(
        likes, divide(likes, seed=1), ModelSettings(), Options(k=K, rankers=()), Unwatched()
    )
    (only,) = found.summaries
    assert only.name == found.default
    assert found.choice is not None
    assert found.choice["held_out_likes"] > 0


def test_numbers_that_the_settings_give_are_served_beside_the_ranker_with_its_own() -> None:
    likes = block_likes()
    settings = ModelSettings(ranker="spectral", ridge=77.0)
    found = evaluate(
        likes, divide(likes, seed=1), settings, Options(k=K, rankers=("spectral",)), Unwatched()
    )
    assert found.default == "configured"
    ridges = {one.name: one.recipe.ridge for one in found.summaries if one.recipe}
    assert ridges == {"configured": 77.0, "spectral": DEFAULTS["spectral"].ridge}


def test_a_ranker_on_vectors_of_another_model_ranks_as_one_built_alone() -> None:
    fit = block_likes().interactions
    # Fewer factors than blocks: the links are what these leave.
    names: tuple[RankerName, ...] = ("blend", "spectral")
    recipes = {name: structs.replace(DEFAULTS[name], rank=3) for name in names}
    blend, spectral = (build_model(fit, recipes[name]) for name in names)
    bench = contenders.Bench(fit, seed=0, progress=Unwatched(), known=blend)
    built = bench.build("spectral", recipes["spectral"]).model
    one, other = (score_all(model, fit.user_items) for model in (built, spectral))
    assert one == pytest.approx(other, abs=1e-4)
    again = bench.build("blend", recipes["blend"]).model
    assert again.cooccurrence.nnz == blend.cooccurrence.nnz > 0


@pytest.mark.parametrize("name", ["blend", "neighbours"])
def test_lists_are_those_that_serving_gives(name: Any) -> None:
    fit = block_likes().interactions
    model = build_model(fit, DEFAULTS[name])
    rows = [fit.user_items.indices[a:b].astype(np.intp) for a, b in
            zip(fit.user_items.indptr, fit.user_items.indptr[1:], strict=False)]  # fmt: skip
    top = rank(model, [RowQuery(each, each, K) for each in rows], k=K, progress=Unwatched()).top
    liked = [{fit.item_ids[row] for row in each} for each in rows]
    served = recommend(model, [Query(each, each, K) for each in liked])
    assert [[fit.item_ids[row] for row in each if row >= 0] for each in top] == [
        [item.item_id for item in answer.items] for answer in served
    ]


def test_the_approximate_search_finds_everything_in_a_small_catalogue() -> None:
    model = build_model(block_likes().interactions, DEFAULTS["blend"])
    liked = [np.arange(3), np.arange(20, 24), np.zeros(0, np.intp)]
    queries = [RowQuery(rows, rows, K) for rows in liked]
    cost = approximation(model, queries, k=K, seed=0, progress=Unwatched())
    assert cost.users == 2
    assert cost.recall == 1
    assert cost.serves == "exact"


def test_exact_neighbours_are_the_nearest_by_angle_wherever_they_are() -> None:
    model = with_exact_neighbours(build_model(block_likes().interactions, DEFAULTS["neighbours"]))
    assert model.user_index is not None
    users = model.user_items @ model.item_factors
    cosines = users @ users[7] / np.linalg.norm(users, axis=1) / np.linalg.norm(users[7])
    rows, similarities = model.user_index.nearest(users[7], 10)
    assert similarities == pytest.approx(np.sort(cosines)[::-1][:10], abs=1e-5)
    assert similarities == pytest.approx(cosines[rows], abs=1e-5)


class Page(HTMLParser):
    """Counts tags, and notes everything that would be loaded."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loaded: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loaded += [str(value) for name, value in attrs if name in ("src", "href", "srcset")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_report_is_one_page_with_plots_that_loads_nothing() -> None:
    html = as_html(account() | {"data": account()["data"] | {"source": "<script>.csv"}})
    page = Page(html)
    assert page.loaded == []
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert not re.search(r"url\(|@import", html)
    assert page.tags.count("svg") >= 8
    assert page.tags.count("rect") >= 8 * len(contenders.NAMES)
    assert "<script>.csv" in page.text
    for name in contenders.NAMES:
        assert name in page.text


def test_bars_are_as_long_as_their_values() -> None:
    chart = bar_chart("x", [Bar("a", 0.5), Bar("b", 0.25, (0.2, 0.3)), Bar("c", 0.0)])
    lengths = [float(width) for width in re.findall(r'<rect [^>]*width="([\d.]+)"', chart)]
    assert lengths[0] == pytest.approx(2 * lengths[1])
    assert lengths[2] == 0
