"""The search for large catalogues, compared with the scan of every item."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from benchmarks.synthetic import item_ids, synthetic_likes, user_ids
from indexer.build import build_model
from indexer.interactions import Interactions
from indexer.recipes import DEFAULTS
from likewise.ranking.queries import RowQuery, Rules
from likewise.ranking.recipe import RANKERS, RankerName
from likewise.ranking.recommend import recommend_rows
from likewise.ranking.scan import score_all

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from likewise.ranking.found import RankedRows
    from likewise.ranking.model import Model

EVERYTHING = 1_000_000
K = 20


def model_of(users: int, items: int, ranker: RankerName, rank: int, seed: int = 0) -> Model:
    likes = synthetic_likes(users, items, likes_per_user=max(3, min(40, items // 8)), seed=seed)
    columns = np.flatnonzero(likes.sum(axis=0))  # no column of a store is empty
    known = Interactions(likes[:, columns], user_ids(users), item_ids(len(columns)))
    recipe = structs.replace(DEFAULTS[ranker], rank=rank if DEFAULTS[ranker].rank else 0)
    return build_model(known, recipe, seed=1)


def liked_by(model: Model, user: int) -> NDArray[np.intp]:
    start, end = model.user_items.indptr[user : user + 2]
    return np.asarray(model.user_items.indices[start:end], np.intp)


def everybody(model: Model, users: int) -> list[RowQuery]:
    return [RowQuery(liked := liked_by(model, user), liked, K) for user in range(users)]


def recall(exact: list[RankedRows], searched: list[RankedRows]) -> float:
    shares = [
        np.isin(one.rows[: one.known], other.rows[: other.known]).mean()
        for one, other in zip(exact, searched, strict=True)
        if one.known
    ]
    return float(np.mean(shares))


@cache
def small(ranker: RankerName) -> Model:
    return model_of(60, 80, ranker, rank=8)


@cache
def large(ranker: RankerName) -> Model:
    return model_of(800, 4000, ranker, rank=64)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(RANKERS),
    st.lists(
        st.tuples(st.sets(st.integers(0, 70), min_size=1), st.sets(st.integers(0, 70))),
        min_size=1,
        max_size=4,
    ),
    st.sets(st.integers(0, 70)),
    st.integers(1, 12),
)
def test_a_small_catalogue_is_searched_as_it_is_scanned(
    ranker: RankerName,
    asked: list[tuple[set[int], set[int]]],
    retired: set[int],
    count: int,
) -> None:
    model = small(ranker)
    n_items = len(model.item_ids)
    queries = [
        RowQuery(rows(liked, n_items), rows(banned, n_items), count) for liked, banned in asked
    ]
    queries = [query for query in queries if len(query.liked)]
    left_out = rows(retired, n_items)
    exact = recommend_rows(model, queries, left_out, exact_items_limit=EVERYTHING)
    searched = recommend_rows(model, queries, left_out, exact_items_limit=0)
    for query, one, other in zip(queries, exact, searched, strict=True):
        expected = one.scores[: one.known][one.scores[: one.known] > 1e-5]
        assert other.scores[: len(expected)] == pytest.approx(expected, rel=1e-3, abs=1e-5)
        assert not np.isin(other.rows, [*query.banned, *left_out]).any()
        assert len(set(other.rows.tolist())) == len(other.rows)


@pytest.mark.parametrize("ranker", RANKERS)
def test_the_scores_of_a_search_are_those_of_the_scan(ranker: RankerName) -> None:
    model = large(ranker)
    answers = recommend_rows(model, everybody(model, 40), exact_items_limit=0)
    scores = score_all(model, model.user_items[:40])
    for user, answer in enumerate(answers):
        expected = scores[user, answer.rows[: answer.known]]
        assert answer.scores[: answer.known] == pytest.approx(expected, rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("ranker", RANKERS)
def test_a_search_finds_nineteen_of_the_twenty_best(ranker: RankerName) -> None:
    model = large(ranker)
    queries = everybody(model, 100)
    exact = recommend_rows(model, queries, exact_items_limit=EVERYTHING)
    searched = recommend_rows(model, queries, exact_items_limit=0)
    assert recall(exact, searched) >= 0.95


def test_what_most_users_like_may_be_retired_and_the_search_still_finds_enough() -> None:
    model = large("spectral")
    retired = np.sort(model.popular_rows[: len(model.item_ids) - 200])
    queries = everybody(model, 50)
    exact = recommend_rows(model, queries, retired, exact_items_limit=EVERYTHING)
    searched = recommend_rows(model, queries, retired, exact_items_limit=0)
    assert [answer.known for answer in searched] == [K] * 50
    assert recall(exact, searched) >= 0.95


def test_a_user_with_more_links_than_are_scored_whole_is_answered_well() -> None:
    model = large("blend")
    liked = np.unique(np.concatenate([liked_by(model, user) for user in range(25)]))
    links = (model.cooccurrence[liked].sum(axis=0) != 0).sum()
    assert links > 2048
    queries = [RowQuery(liked, liked, K)]
    exact = recommend_rows(model, queries, exact_items_limit=EVERYTHING)
    searched = recommend_rows(model, queries, exact_items_limit=0)
    assert recall(exact, searched) >= 0.95


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("share", [0.1, 0.01, 0.001])
def test_a_filtered_search_finds_nineteen_of_the_twenty_best_that_pass(
    share: float, together: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = large("blend")
    # Filters are searched here as they are in a catalogue a hundred times this size.
    monkeypatch.setattr("likewise.ranking.best_items._NARROW", 50)
    monkeypatch.setattr("likewise.ranking.best_items._SEARCH", 2_000)
    draw = np.random.default_rng(3)
    masks = [draw.random(len(model.item_ids)) < share for _ in range(60)]
    queries = [
        query._replace(rules=Rules(allowed=masks[0] if together else mask))
        for query, mask in zip(everybody(model, 60), masks, strict=True)
    ]
    exact = recommend_rows(model, queries, exact_items_limit=EVERYTHING)
    searched = recommend_rows(model, queries, exact_items_limit=0)
    assert recall(exact, searched) >= 0.95
    for query, one, other in zip(queries, exact, searched, strict=True):
        assert query.rules is not None
        assert query.rules.allowed is not None
        assert query.rules.allowed[other.rows].all()
        assert (
            len(other.rows)
            == len(one.rows)
            == min(K, len(set(query.rules.shown()) - set(query.banned)))
        )


def test_a_list_of_a_large_catalogue_fills_although_one_group_dominates() -> None:
    model = large("blend")
    groups = np.where(np.arange(len(model.item_ids)) % 20 == 0, np.arange(len(model.item_ids)), -2)
    groups = np.where(groups < 0, len(model.item_ids), groups).astype(np.int32)
    queries = [
        query._replace(rules=Rules(max_per=(groups, 1)), fill=False)
        for query in everybody(model, 40)
    ]
    exact = recommend_rows(model, queries, exact_items_limit=EVERYTHING)
    searched = recommend_rows(model, queries, exact_items_limit=0)
    assert [len(answer.rows) for answer in searched] == [K] * 40
    for answer in searched:
        assert len(set(groups[answer.rows].tolist())) == K
    assert recall(exact, searched) >= 0.95


def test_what_is_boosted_is_found_where_no_link_leads_to_it() -> None:
    model = large("blend")
    boost = np.ones(len(model.item_ids), np.float32)
    boost[np.random.default_rng(4).permutation(len(boost))[:100]] = 50
    queries = [query._replace(rules=Rules(boost=boost)) for query in everybody(model, 40)]
    exact = recommend_rows(model, queries, exact_items_limit=EVERYTHING)
    searched = recommend_rows(model, queries, exact_items_limit=0)
    assert recall(exact, searched) >= 0.95


def rows(numbers: set[int], n_items: int) -> NDArray[np.intp]:
    return np.array(sorted(number for number in numbers if number < n_items), np.intp)
