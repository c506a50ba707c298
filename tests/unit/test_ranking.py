"""Known truths: what a ranker must say where the answer is beyond dispute."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from indexer.build import build_model
from indexer.interactions import UserLikes, interactions_of
from indexer.recipes import DEFAULTS
from likewise.messages.ids import ItemId, UserId
from likewise.ranking import blend, cooccurrence, explaining, neighbours
from likewise.ranking.blocks import Threads, blocks_of
from likewise.ranking.queries import Query
from likewise.ranking.recipe import RANKERS, RankerName, Recipe
from likewise.ranking.recommend import recommend
from likewise.ranking.scan import score_all
from likewise.ranking.top import best_columns, best_columns_of_each

if TYPE_CHECKING:
    from collections.abc import Sequence

    from likewise.ranking.model import Model

BLOCKS, USERS, ITEMS = 6, 20, 15


def item(block: int, number: int) -> ItemId:
    return ItemId(f"b{block}-i{number:02}")


def block_likes() -> dict[UserId, set[ItemId]]:
    """Users of one block like most of the block's items, and nothing else."""
    rng = np.random.default_rng(1)
    return {
        UserId(f"b{block}-u{user}"): {
            item(block, int(number)) for number in np.flatnonzero(rng.random(ITEMS) < 0.6)
        }
        for block in range(BLOCKS)
        for user in range(USERS)
    }


def model_of(likes: dict[UserId, set[ItemId]], recipe: Recipe) -> Model:
    interactions = interactions_of([UserLikes(list(likes), list(likes.values()))])
    return build_model(interactions, recipe, seed=3)


@pytest.fixture(scope="module", params=RANKERS)
def model(request: pytest.FixtureRequest) -> Model:
    return model_of(block_likes(), DEFAULTS[request.param])


def ids(answer: Sequence[object]) -> list[str]:
    return [ranked.item_id for ranked in answer]  # type: ignore[attr-defined]  # RankedItem


def test_users_of_one_block_are_given_the_rest_of_that_block(model: Model) -> None:
    for block in range(BLOCKS):
        liked = {item(block, number) for number in range(8)}
        (answer,) = recommend(model, [Query(liked, liked, 7)])
        assert set(ids(answer.items)) == {item(block, number) for number in range(8, ITEMS)}
        assert answer.source == "model"


def test_a_batch_is_answered_as_its_queries_alone(model: Model) -> None:
    queries = [
        Query(liked := {item(block, n) for n in range(1 + block)}, liked, 5 + block)
        for block in range(BLOCKS)
    ]
    together = recommend(model, queries)
    alone = [recommend(model, [query])[0] for query in queries]
    assert [ids(answer.items) for answer in together] == [ids(answer.items) for answer in alone]


def test_neither_banned_nor_retired_items_are_returned(model: Model) -> None:
    liked = {item(0, n) for n in range(5)}
    banned = liked | {item(0, 5)}
    (answer,) = recommend(model, [Query(liked, banned, 1000)], retired={item(0, 6)})
    assert len(answer.items) == BLOCKS * ITEMS - len(banned) - 1
    assert not {*banned, item(0, 6)} & set(ids(answer.items))


def test_without_known_likes_the_most_popular_items_come(model: Model) -> None:
    counts = dict(zip(model.item_ids, model.item_counts, strict=True))
    (answer,) = recommend(model, [Query({ItemId("never seen")}, set(), 10)])
    assert answer.source == "popular"
    found = [counts[ranked.item_id] for ranked in answer.items]
    assert found == sorted(model.item_counts, reverse=True)[:10]
    assert [ranked.score for ranked in answer.items] == found


def test_answers_to_strangers_do_not_share_their_items(model: Model) -> None:
    first, second = recommend(model, [Query((), (), 3), Query((), {item(0, 0)}, 4)])
    assert len(first.items) == 3
    assert len(second.items) == 4


def test_contributions_add_up_to_the_score(model: Model) -> None:
    liked = {item(2, n) for n in range(6)} | {item(3, 1)}
    (answer,) = recommend(model, [Query(liked, liked, 5, explain=100)])
    for ranked in answer.items:
        assert {because for because, _ in ranked.because} == {item(2, n) for n in range(6)}
        assert sum(share for _, share in ranked.because) == pytest.approx(ranked.score, rel=1e-2)
        shares = [share for _, share in ranked.because]
        assert shares == sorted(shares, reverse=True)


def test_an_explanation_names_no_more_likes_than_asked_for(model: Model) -> None:
    liked = {item(2, n) for n in range(6)}
    (answer,) = recommend(model, [Query(liked, liked, 5, explain=2)])
    assert [len(ranked.because) for ranked in answer.items] == [2] * 5


def test_an_answer_is_explained_in_blocks_as_in_one(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    liked = {item(block, n) for block in (2, 3) for n in range(0, ITEMS, 2)}
    queries = [Query(liked, liked, 12, explain=4, novelty=novelty) for novelty in (0.0, 0.5)]
    whole = recommend(model, queries)
    monkeypatch.setattr(explaining, "_SHARES_PER_BLOCK", 1)
    for one, other in zip(whole, recommend(model, queries), strict=True):
        for in_one, alone in zip(one.items, other.items, strict=True):
            assert [share for _, share in in_one.because] == pytest.approx(
                [share for _, share in alone.because], rel=1e-4
            )
            assert 0 < len(in_one.because) <= 4


def test_threads_give_the_answers_of_one(model: Model) -> None:
    queries = [
        Query(liked := {item(number % BLOCKS, n) for n in range(1 + number % 9)}, liked, 4)
        for number in range(300)
    ]
    with ThreadPoolExecutor(3) as threads:
        divided = recommend(model, queries, threads=Threads(threads.map, 3))
    for one, other in zip(recommend(model, queries), divided, strict=True):
        # A product of matrices is rounded by its shape and the CPU, which orders equal scores.
        assert [scored.score for scored in one.items] == pytest.approx(
            [scored.score for scored in other.items], rel=1e-5
        )
        of_other = {scored.item_id: scored.score for scored in other.items}
        for scored in one.items[:-1]:
            assert of_other.get(scored.item_id, one.items[-1].score) == pytest.approx(
                scored.score, rel=1e-5
            )


@pytest.mark.parametrize("ranker", ["blend", "spectral", "cooccurrence"])
def test_candidates_give_the_answers_of_the_exact_scan(ranker: RankerName) -> None:
    model = model_of(block_likes(), DEFAULTS[ranker])
    queries = [
        Query(liked := {item(block, n) for n in range(3 * part, 3 * part + 3)}, liked, 8)
        for block in range(BLOCKS)
        for part in range(4)
    ]
    exact = recommend(model, queries)
    searched = recommend(model, queries, exact_items_limit=0)
    for one, other in zip(exact, searched, strict=True):
        assert ids(one.items) == ids(other.items)
        scores = [ranked.score for ranked in one.items]
        assert [ranked.score for ranked in other.items] == pytest.approx(scores, rel=1e-3)


def test_the_blend_is_the_ridge_filter_of_the_whole_spectrum_where_the_rank_is_full() -> None:
    likes = block_likes()
    recipe = Recipe(
        rank=1000, ridge=2.0, ridge_exponent=0.0, score_exponent=0.0, similar_items=1000
    )
    model = model_of(likes, recipe)
    a = model.user_items.toarray().astype(np.float64)
    r = a / np.sqrt(np.sqrt(a.sum(1)))[:, None] / np.sqrt(np.sqrt(a.sum(0)))[None, :]
    s = r.T @ r
    expected = s @ np.linalg.inv(s + 2.0 * np.eye(len(s)))
    weighted = a * a.sum(0)[None, :] ** -recipe.query_exponent
    np.fill_diagonal(expected, 0)
    scores = score_all(model, model.user_items)
    unliked = a == 0  # what a like adds to its own item is never used
    assert scores[unliked] == pytest.approx((weighted @ expected)[unliked], abs=1e-4)


@pytest.mark.parametrize("ranker", ["blend", "spectral"])
def test_a_user_is_ranked_under_a_ridge_of_their_own(ranker: RankerName) -> None:
    likes = block_likes()
    own = model_of(likes, Recipe(ranker=ranker, rank=4, ridge=2.0, ridge_exponent=0.7))
    for n in (1, 3, 7):
        query = np.zeros((1, len(own.item_ids)), np.float32)
        query[0, [own.item_rows[item(0, number)] for number in range(n)]] = 1
        ridge = 2.0 * (own.typical_likes / n) ** 0.7
        theirs = model_of(likes, Recipe(ranker=ranker, rank=4, ridge=ridge, ridge_exponent=0.0))
        expected = score_all(theirs, csr_array(query))
        assert score_all(own, csr_array(query)) == pytest.approx(expected, rel=1e-3, abs=1e-6)


def test_the_typical_user_has_the_geometric_mean_of_likes() -> None:
    likes = {UserId("a"): {item(0, 0)}, UserId("b"): {item(0, n) for n in range(9)}}
    assert model_of(likes, Recipe()).typical_likes == pytest.approx(3)


def test_the_same_likes_in_another_order_give_the_same_model() -> None:
    likes = block_likes()
    backwards = dict(reversed(likes.items()))
    one, other = model_of(likes, Recipe()), model_of(backwards, Recipe())
    assert one.item_ids == other.item_ids
    assert np.array_equal(one.item_factors, other.item_factors)
    assert np.array_equal(one.cooccurrence.data, other.cooccurrence.data)


@pytest.mark.parametrize("ranker", RANKERS)
@pytest.mark.parametrize("users", [0, 1, 2])
def test_a_tiny_store_gives_a_model_that_answers(ranker: RankerName, users: int) -> None:
    likes = {UserId(f"u{n}"): {ItemId("a"), ItemId(f"i{n}")} for n in range(users)}
    model = model_of(likes, DEFAULTS[ranker])
    strangers, known = recommend(model, [Query((), (), 3), Query({ItemId("a")}, {ItemId("a")}, 3)])
    assert len(strangers.items) == min(users + 1, 3) * (users > 0)
    assert len(known.items) == users
    assert ItemId("a") not in ids(known.items)


def test_a_neighbours_contribution_is_what_its_like_adds_to_the_cosines() -> None:
    model = model_of(block_likes(), DEFAULTS["neighbours"])
    liked = np.array([model.item_rows[item(1, n)] for n in range(5)])
    row = np.zeros((1, len(model.item_ids)), np.float32)
    row[0, liked] = 1
    targets = np.array([model.item_rows[item(1, n)] for n in (9, 12)])
    whole = neighbours.scores(model, csr_array(row))[0, targets]
    shares = neighbours.contributions(model, liked, None, targets)
    assert shares.sum(axis=1) == pytest.approx(whole, rel=1e-3)
    assert (whole > 0).all()


def test_the_blend_gives_no_weight_to_a_direction_without_strength() -> None:
    # Two equal items: the matrix has rank one, the second singular value is zero.
    likes = {UserId(f"u{n}"): {ItemId("a"), ItemId("b")} for n in range(3)}
    model = model_of(likes, Recipe(rank=2))
    assert np.isfinite(blend.scores(model, model.user_items)).all()


@given(
    st.lists(st.floats(-1e6, 1e6, width=32) | st.just(-np.inf), max_size=60),
    st.integers(1, 70),
)
def test_the_best_places_are_those_a_full_sort_gives(values: list[float], count: int) -> None:
    scores = np.array(values, np.float32)
    ranked = [n for n in np.argsort(-scores, kind="stable") if np.isfinite(scores[n])]
    best = best_columns(scores, count)
    assert scores[best].tolist() == scores[ranked[:count]].tolist()
    assert len(set(best.tolist())) == len(best)


@given(st.integers(0, 3000), st.integers(0, 9), st.integers(0, 99))
def test_the_best_of_many_are_those_a_full_sort_gives(length: int, count: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    scores = draw.integers(-40, 40, length).astype(np.float32)  # with ties
    scores[draw.random(length) < 0.2] = -np.inf
    best = best_columns(scores, count)
    expected = np.sort(scores[np.isfinite(scores)])[::-1][:count]
    assert scores[best].tolist() == expected.tolist()
    assert best.tolist() == [*np.lexsort((np.arange(length), -scores))][: len(best)]


@given(st.integers(1, 5), st.integers(0, 3000), st.integers(1, 9), st.integers(0, 99))
def test_the_best_of_each_row_are_those_of_the_row_alone(
    rows: int, length: int, count: int, seed: int
) -> None:
    draw = np.random.default_rng(seed)
    scores = draw.permuted(np.arange(rows * length, dtype=np.float32)).reshape(rows, length)
    scores[draw.random(scores.shape) < 0.2] = -np.inf
    places, found = best_columns_of_each(scores, count)
    for row, columns, values in zip(scores, places, found, strict=True):
        finite = np.isfinite(values)
        assert columns[finite].tolist() == best_columns(row, count).tolist()
        assert values.tolist() == row[columns].tolist()
        assert len(columns) == min(count, length)


@pytest.mark.parametrize("ranker", ["blend", "cooccurrence"])
def test_links_that_are_added_one_by_one_come_to_the_product_of_the_matrices(
    ranker: RankerName,
) -> None:
    model = model_of(block_likes(), DEFAULTS[ranker])
    likes = csr_array(model.user_items[[3, 5, 3, 40] * 10])
    product = cooccurrence.links(model, likes).toarray()
    assert np.abs(product).max() > 0
    parts = [*cooccurrence.scores_in_parts(model, likes)]
    assert len(parts) > 1
    for part, scores in parts:
        assert scores == pytest.approx(product[part], rel=1e-4, abs=1e-6)


@given(st.integers(0, 2_000), st.integers(1, 10**7), st.integers(1, 8))
def test_blocks_are_all_of_a_size_and_small_enough(count: int, widest: int, threads: int) -> None:
    blocks = [*blocks_of([*range(count)], widest, threads)]
    assert [number for block in blocks for number in block] == [*range(count)]
    sizes = [len(block) for block in blocks]
    assert max(sizes, default=0) - min(sizes, default=0) <= 1
    assert max(sizes, default=0) <= 256
    assert max(sizes, default=0) * widest <= max(16 * 1024 * 1024, widest)
    assert count < 64 * threads or len(blocks) >= threads


def test_ids_that_are_repeated_or_unknown_change_no_answer(model: Model) -> None:
    liked = [item(1, 0), item(1, 3), item(1, 1)]
    strange = [ItemId("never seen"), *liked, *liked]
    asked = [Query(liked, liked, 5), Query(strange, strange, 5), Query(strange, liked, 5)]
    one, *others = recommend(model, asked)
    assert one.source == "model"
    assert others == [one, one]
