"""Beyond accuracy: what requests may ask for, and what it does to lists whose truth is known."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from indexer.build import build_model
from indexer.interactions import UserLikes, interactions_of
from indexer.recipes import DEFAULTS
from likewise.evaluation.metrics.lists import intra_list_diversity
from likewise.messages.ids import ItemId, UserId
from likewise.ranking.diversity import PoolVectors, diversified, pool_size
from likewise.ranking.novelty import factors
from likewise.ranking.queries import Query
from likewise.ranking.recipe import RANKERS, RankerName
from likewise.ranking.recommend import RankedItem, recommend

if TYPE_CHECKING:
    from likewise.ranking.model import Model

N_USERS, GENRES, ITEMS = 120, 4, 12
shares = st.sampled_from([0.0, 0.2, 0.5, 0.8, 1.0]) | st.floats(0, 1)


def item(genre: int, number: int) -> ItemId:
    return ItemId(f"g{genre}-i{number:02}")


@cache
def model_of(ranker: RankerName) -> Model:
    """Users like most of one genre, the low numbers most, and a little of the others."""
    draw = np.random.default_rng(5)
    likes = {}
    for user in range(N_USERS):
        taste = np.full((GENRES, ITEMS), 0.1)
        taste[user % GENRES] = 0.8
        taste *= np.linspace(1, 0.3, ITEMS)
        chosen = np.argwhere(draw.random(taste.shape) < taste).tolist()
        likes[UserId(f"u{user:03}")] = {item(genre, number) for genre, number in chosen}
    interactions = interactions_of([UserLikes(list(likes), list(likes.values()))])
    # Of a rank far below the catalogue's, as in earnest.
    recipe = structs.replace(DEFAULTS[ranker], rank=min(DEFAULTS[ranker].rank, 8))
    return build_model(interactions, recipe, seed=1)


def ask(model: Model, *queries: Query, limit: int = 200_000) -> list[list[RankedItem]]:
    return [answer.items for answer in recommend(model, queries, exact_items_limit=limit)]


def ids(items: list[RankedItem]) -> list[ItemId]:
    return [one.item_id for one in items]


def two_tastes(**options: float) -> Query:
    liked = {item(0, n) for n in range(5)} | {item(1, 3)}
    return Query(liked, liked, 10, **options)  # type: ignore[arg-type] # diversity and novelty


def spread(model: Model, items: list[RankedItem]) -> float:
    top = np.array([[model.item_rows[one] for one in ids(items)]])
    return float(intra_list_diversity(top, model.user_items)[0])


def mean_likes(model: Model, items: list[RankedItem]) -> float:
    return float(np.mean([model.item_counts[model.item_rows[one]] for one in ids(items)]))


# Both


@pytest.mark.parametrize("limit", [0, 200_000])
@pytest.mark.parametrize("ranker", RANKERS)
@settings(max_examples=25, deadline=None)
@given(
    liked=st.sets(st.sampled_from([item(g, n) for g in range(GENRES) for n in range(ITEMS)])),
    excluded=st.sets(st.sampled_from([item(g, n) for g in range(GENRES) for n in range(ITEMS)])),
    retired=st.sets(st.sampled_from([item(g, n) for g in range(GENRES) for n in range(ITEMS)])),
    count=st.integers(1, 60),
    diversity=shares,
    novelty=shares,
)
def test_whatever_is_asked_for_no_item_comes_twice_and_none_that_must_not(
    ranker: RankerName,
    limit: int,
    liked: set[ItemId],
    excluded: set[ItemId],
    retired: set[ItemId],
    count: int,
    diversity: float,
    novelty: float,
) -> None:
    model = model_of(ranker)
    query = Query(liked, liked | excluded, count, diversity=diversity, novelty=novelty)
    (answer,) = recommend(model, [query], retired, exact_items_limit=limit)
    found = ids(answer.items)
    left = len(set(model.item_ids) - liked - excluded - retired)
    assert len(found) == len(set(found)) == min(count, left)
    assert not set(found) & (liked | excluded | retired)


@pytest.mark.parametrize("limit", [0, 200_000])
@pytest.mark.parametrize("ranker", RANKERS)
def test_options_of_one_request_change_nothing_for_the_others_of_its_batch(
    ranker: RankerName, limit: int
) -> None:
    model = model_of(ranker)
    options = [{}, {"diversity": 0.7}, {"novelty": 0.5}, {"diversity": 0.3, "novelty": 0.3}, {}]
    queries = [two_tastes(**each) for each in options]
    together = ask(model, *queries, limit=limit)
    alone = [ask(model, query, limit=limit)[0] for query in queries]
    assert [ids(items) for items in together] == [ids(items) for items in alone]
    assert ids(together[0]) == ids(together[-1]) != ids(together[1])


@pytest.mark.parametrize("ranker", RANKERS)
@pytest.mark.parametrize("options", [{"diversity": 0.6}, {"novelty": 0.6}])
def test_contributions_are_parts_of_the_score_shown(
    ranker: RankerName, options: dict[str, float]
) -> None:
    model = model_of(ranker)
    everything = replace(two_tastes(), count=GENRES * ITEMS, explain=100)
    plain, asked = ask(model, everything, replace(everything, **options))  # type: ignore[arg-type] # one of the two
    by_id = {one.item_id: one for one in plain}
    explained = [one for one in asked if one.because]
    assert explained
    for one in explained:
        unasked = by_id[one.item_id]
        parts = {item_id: share / unasked.score for item_id, share in unasked.because}
        shown = {item_id: share / one.score for item_id, share in one.because}
        assert shown == pytest.approx(parts, rel=1e-3)


# Diversity


@pytest.mark.parametrize("ranker", RANKERS)
def test_diversity_brings_other_tastes_into_the_list(ranker: RankerName) -> None:
    model = model_of(ranker)
    plain, diverse = ask(model, two_tastes(), two_tastes(diversity=0.7))
    assert spread(model, diverse) > spread(model, plain)
    assert diverse[0] == plain[0], "the best item stays first"


@pytest.mark.parametrize("ranker", RANKERS)
def test_diversity_changes_the_order_and_no_score(ranker: RankerName) -> None:
    model = model_of(ranker)
    everything = replace(two_tastes(), count=GENRES * ITEMS)
    (scored,) = ask(model, everything)
    scores = {one.item_id: one.score for one in scored}
    (diverse,) = ask(model, two_tastes(diversity=0.7))
    assert [one.score for one in diverse] == pytest.approx([scores[one] for one in ids(diverse)])


def test_popular_items_for_a_stranger_are_diversified_as_well() -> None:
    model = model_of("blend")
    plain, diverse = ask(model, Query((), (), 4), Query((), (), 4, diversity=0.8))
    assert len({one.item_id[:2] for one in diverse}) == GENRES
    assert spread(model, diverse) > spread(model, plain)


def test_the_next_item_is_the_best_by_marginal_relevance() -> None:
    model = model_of("blend")
    rows = np.arange(30)
    scores = np.linspace(3, 1, 30).astype(np.float32)
    chosen = diversified(model, rows, scores, count=8, diversity=0.4).tolist()
    pool = PoolVectors.of(model, rows)
    similar = np.array([pool.similar_to(place) for place in range(30)])
    for place in range(1, 8):
        values = 0.6 * scores / 3 - 0.4 * similar[chosen[:place]].max(axis=0)
        values[chosen[:place]] = -np.inf
        assert values[chosen[place]] == pytest.approx(values.max(), abs=1e-6)


def test_an_item_without_a_vector_neither_breaks_nor_wins() -> None:
    model = model_of("spectral")
    vectors = model.item_factors.copy()
    vectors[5] = 0
    blank = replace(model, item_factors=vectors)
    scores = np.linspace(1, 0.9, 20).astype(np.float32)
    order = diversified(blank, np.arange(20), scores, count=20, diversity=1.0)
    assert order[-1] == 5
    assert sorted(order) == list(range(20))


def test_a_pool_without_any_vector_keeps_its_order() -> None:
    model = model_of("spectral")
    blank = replace(model, item_factors=np.zeros_like(model.item_factors))
    scores = np.linspace(1, 0.1, 20).astype(np.float32)
    order = diversified(blank, np.arange(20), scores, count=10, diversity=1.0)
    assert order.tolist() == list(range(10))


def test_what_speaks_against_an_item_is_not_outweighed_by_its_difference() -> None:
    model = model_of("blend")
    scores = np.array([3, 2, 1, -1, -2], np.float32)
    order = diversified(model, np.arange(5), scores, count=5, diversity=1.0)
    assert sorted(order[:3]) == [0, 1, 2]
    assert order[3:].tolist() == [3, 4]


def test_the_pool_is_bounded_and_holds_the_list() -> None:
    for count in (1, 10, 100, 1_000):
        assert count <= pool_size(count) <= 1_000


# Novelty


@pytest.mark.parametrize("limit", [0, 200_000])
@pytest.mark.parametrize("ranker", RANKERS)
def test_novelty_recommends_less_popular_items(ranker: RankerName, limit: int) -> None:
    model = model_of(ranker)
    asked = [two_tastes(novelty=share) for share in (0.0, 0.5, 1.0)]
    plain, some, much = (mean_likes(model, items) for items in ask(model, *asked, limit=limit))
    assert plain >= some >= much
    assert plain > much


@pytest.mark.parametrize("ranker", RANKERS)
def test_novelty_divides_the_score_by_a_power_of_the_likes(ranker: RankerName) -> None:
    model = model_of(ranker)
    everything = replace(two_tastes(), count=GENRES * ITEMS)
    plain, novel = ask(model, everything, replace(everything, novelty=0.5))
    scores = {one.item_id: one.score for one in plain}
    for one in novel:
        likes = model.item_counts[model.item_rows[one.item_id]]
        if scores[one.item_id] > 0:
            assert one.score == pytest.approx(scores[one.item_id] / likes**0.5, rel=1e-4)
    shown = [one.score for one in novel if one.score != 0]
    assert shown == sorted(shown, reverse=True)


@given(st.lists(st.tuples(st.integers(0, 1000), st.floats(2**-60, 9, width=32))), shares)
def test_popularity_costs_and_leaves_something(
    items: list[tuple[int, float]], novelty: float
) -> None:
    counts = np.array([count for count, _ in items], np.int32)
    scores = np.array([score for _, score in items], np.float32)
    weighted = scores * factors(counts, novelty)
    assert (weighted <= scores).all()
    assert (weighted > 0).all()


def test_strangers_are_given_what_is_popular_however_novel_they_want_it() -> None:
    model = model_of("blend")
    plain, novel = ask(model, Query((), (), 5), Query((), (), 5, novelty=1.0))
    assert plain == novel


# Intra-list diversity


def test_intra_list_diversity_is_the_mean_over_pairs() -> None:
    model = model_of("blend")
    top = np.array([[3, 17, 40], [1, 2, -1], [7, -1, -1]])
    columns = model.user_items.toarray().T
    unit = columns / np.linalg.norm(columns, axis=1, keepdims=True)
    cosines = unit @ unit.T
    three = 1 - (cosines[3, 17] + cosines[3, 40] + cosines[17, 40]) / 3
    found = intra_list_diversity(top, model.user_items)
    assert found == pytest.approx([three, 1 - cosines[1, 2], 0], abs=1e-5)
