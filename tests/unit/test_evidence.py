"""What no path of likes joins is never recommended for one another, nor named as a reason."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse import csgraph

from indexer import svd
from indexer.build import build_model
from indexer.components import components
from indexer.interactions import Interactions, UserLikes, interactions_of
from indexer.recipes import DEFAULTS
from indexer.svd import normalise, truncated_svd
from likewise.messages.ids import ItemId, UserId
from likewise.ranking.queries import Query
from likewise.ranking.recipe import RANKERS, RankerName
from likewise.ranking.recommend import recommend

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from likewise.ranking.model import Model

USERS = 900


class Shop(NamedTuple):
    likes: dict[UserId, set[ItemId]]
    interactions: Interactions
    component: dict[ItemId, int]


@cache
def shop() -> Shop:
    """Return one large component with a long fringe, and many small ones, of sparse likes."""
    rng = np.random.default_rng(11)
    likes: dict[UserId, set[ItemId]] = {}
    for user in range(USERS):
        many = 1 + rng.geometric(0.6)
        popular = rng.random() < 0.7
        items = rng.pareto(0.7, many) * 23 if popular else rng.integers(0, 1400, many)
        likes[UserId(f"u{user:04}")] = {ItemId(f"i{min(int(item), 1399):04}") for item in items}
    interactions = interactions_of([UserLikes(list(likes), list(likes.values()))])
    labels = labels_of(interactions.user_items)[1]
    return Shop(likes, interactions, dict(zip(interactions.item_ids, labels.tolist(), strict=True)))


def labels_of(matrix: Any) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    graph = sparse.block_array([[None, matrix], [matrix.T, None]])
    _, labels = csgraph.connected_components(graph, directed=False)
    return labels[: matrix.shape[0]], labels[matrix.shape[0] :]


@cache
def model_of(ranker: RankerName) -> Model:
    return build_model(shop().interactions, DEFAULTS[ranker])


def test_the_likes_are_as_hard_as_they_should_be() -> None:
    sizes = np.bincount([*shop().component.values()])
    assert (sizes > 0).sum() > 20
    assert sizes.max() > 400


@pytest.mark.parametrize("ranker", RANKERS)
@pytest.mark.parametrize("exact_items_limit", [1_000_000, 0], ids=["scan", "search"])
def test_only_items_joined_to_the_likes_are_evidence(
    ranker: RankerName, exact_items_limit: int
) -> None:
    component = shop().component
    asked = [*shop().likes.values()][:40]
    asked += [{item} for item in component][:40]  # as `similar_to` asks
    asked += [set(list(component)[at : at + 2]) for at in range(30)]  # of two components
    options = [(0.0, 0.0), (0.5, 0.0), (0.0, 0.5)]
    queries = [
        Query(liked, liked, 20, explain=3, diversity=diversity, novelty=novelty)
        for number, liked in enumerate(asked)
        for diversity, novelty in [options[number % 3]]
    ]
    answers = recommend(model_of(ranker), queries, exact_items_limit=exact_items_limit)
    ranked = 0
    for liked, answer in zip(asked, answers, strict=True):
        joined = {component[item] for item in liked}
        scores = [one.score for one in answer.items]
        evident = sum(score > 0 for score in scores)
        assert all(score == 0 for score in scores[evident:])
        assert answer.source == ("model" if evident else "popular")
        for one in answer.items[:evident]:
            assert component[one.item_id] in joined
            assert {component[because] for because, _ in one.because} == {component[one.item_id]}
        assert not any(one.because for one in answer.items[evident:])
        ranked += evident
    assert ranked > 500


@pytest.mark.parametrize("ranker", RANKERS)
def test_where_nothing_is_joined_to_the_likes_popular_items_come_with_score_0(
    ranker: RankerName,
) -> None:
    likes = {UserId(f"u{n}"): {ItemId("a"), ItemId(f"b{n % 3}")} for n in range(30)}
    likes[UserId("hermit")] = {ItemId("z1"), ItemId("z2")}
    interactions = interactions_of([UserLikes(list(likes), list(likes.values()))])
    model = build_model(interactions, DEFAULTS[ranker])
    liked = likes[UserId("hermit")]
    (answer,) = recommend(model, [Query(liked, liked, 3, explain=3)])
    assert answer.source == "popular"
    assert [(one.item_id, one.score, one.because) for one in answer.items] == [
        (ItemId(item), 0, ()) for item in ("a", "b0", "b1")
    ]


@pytest.mark.parametrize("dense_limit", [6_000, 0], ids=["dense", "Lanczos"])
def test_vectors_stay_within_components_and_values_are_those_of_the_whole(
    monkeypatch: pytest.MonkeyPatch, dense_limit: int
) -> None:
    monkeypatch.setattr(svd, "_DENSE_LIMIT", dense_limit)
    monkeypatch.setattr(svd, "_DENSE_SIZE_PER_VECTOR", 0)
    matrix = normalise(shop().interactions.user_items, 0.25, 0.25)
    values, vectors = truncated_svd(matrix, 60, seed=0)
    _, labels = labels_of(matrix)
    for vector in vectors.T:
        assert len(np.unique(labels[vector != 0])) == 1
    true = np.linalg.svd(matrix.toarray().astype(np.float64), compute_uv=False)[:60]
    assert values == pytest.approx(true, rel=2e-3)
    assert vectors.T @ vectors == pytest.approx(np.eye(60), abs=1e-4)


def test_directions_that_rounding_makes_are_left_out() -> None:
    matrix = normalise(shop().interactions.user_items, 0.25, 0.25)
    values, vectors = truncated_svd(matrix, 2_000, seed=0)
    dense = matrix.toarray().astype(np.float64)
    assert len(values) <= np.linalg.matrix_rank(dense) < min(matrix.shape)
    whole = (vectors * values**2) @ vectors.T
    assert whole == pytest.approx(dense.T @ dense, abs=1e-3)


def test_components_are_the_parts_of_the_graph_with_a_bound_on_their_values() -> None:
    matrix = normalise(shop().interactions.user_items, 0.25, 0.25)
    _, labels = labels_of(matrix)
    parts = [*components(matrix)]
    assert [part.bound for part in parts] == sorted((part.bound for part in parts), reverse=True)
    assert sum(part.matrix.nnz for part in parts) == matrix.nnz
    assert np.array_equal(
        np.sort(np.concatenate([part.items for part in parts])), np.arange(matrix.shape[1])
    )
    for part in parts:
        assert np.array_equal(part.items, np.flatnonzero(labels == labels[part.items[0]]))
        largest = np.linalg.norm(part.matrix.toarray().astype(np.float64), 2) ** 2
        assert largest <= part.bound * (1 + 1e-5)


def test_users_and_items_without_a_like_are_in_no_component() -> None:
    likes = np.zeros((5, 6), np.float32)
    likes[[1, 3], [2, 4]] = 1
    matrix = sparse.csr_array(likes)
    assert [part.items.tolist() for part in components(matrix)] == [[2], [4]]
    nothing = sparse.csr_array(np.zeros((3, 2), np.float32))
    assert [*components(nothing)] == []
    values, vectors = truncated_svd(nothing, 2, seed=0)
    assert (values.shape, vectors.shape) == ((0,), (2, 0))


def test_noise_in_the_factors_of_an_older_model_is_no_evidence() -> None:
    model = model_of("blend")
    noise = np.random.default_rng(0).standard_normal(model.item_factors.shape, np.float32)
    older = replace(model, item_factors=model.item_factors + noise * np.float32(1e-7))
    component = shop().component
    for liked in [*shop().likes.values()][:100]:
        (answer,) = recommend(older, [Query(liked, liked, 20)])
        joined = {component[item] for item in liked}
        assert all(component[one.item_id] in joined for one in answer.items if one.score)
