"""Queries by ids become queries by the rows of one model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from indexer.build import build_model
from indexer.interactions import UserLikes, interactions_of
from likewise.messages.ids import ItemId, UserId
from likewise.ranking.queries import Query, in_rows
from likewise.ranking.recipe import Recipe

if TYPE_CHECKING:
    from likewise.ranking.model import Model


@pytest.fixture(scope="module")
def model() -> Model:
    """Return a model of the items a to f, in rows 0 to 5."""
    likes = {UserId(f"u{n}"): {ItemId("abcdef"[n]), ItemId("abcdef"[n - 1])} for n in range(6)}
    interactions = interactions_of([UserLikes(list(likes), list(likes.values()))])
    return build_model(interactions, Recipe(rank=2), seed=1)


def items(names: str) -> list[ItemId]:
    return [ItemId(name) for name in names]


def test_a_query_without_options_has_neither_weights_nor_rules(model: Model) -> None:
    liked = items("fbz")
    (query,) = in_rows(model, [Query(liked, liked, 3)])
    assert query.liked.tolist() == [1, 5]
    assert query.banned is query.liked
    assert query.weights is None
    assert query.rules is None


def test_weights_replace_ones_and_add_items(model: Model) -> None:
    liked = items("ab")
    weights = {ItemId("b"): 3.0, ItemId("d"): -0.5, ItemId("z"): 2.0}
    (query,) = in_rows(model, [Query(liked, liked, 3, weights=weights)])
    assert query.liked.tolist() == [0, 1, 3]
    assert query.weights is not None
    assert query.weights.tolist() == [1.0, 3.0, -0.5]
    assert query.banned.tolist() == [0, 1]


def test_a_weight_of_zero_takes_the_like_out(model: Model) -> None:
    liked = items("abc")
    (query,) = in_rows(model, [Query(liked, liked, 3, weights={ItemId("b"): 0.0})])
    assert query.liked.tolist() == [0, 2]
    assert query.banned.tolist() == [0, 1, 2]


def test_rules_name_rows_that_the_model_knows(model: Model) -> None:
    demoted = {ItemId("e"): 0.25, ItemId("c"): 0.5, ItemId("z"): 0.0}
    query = Query((), (), 3, only=items("zfc"), demoted=demoted)
    (asked,) = in_rows(model, [query])
    assert asked.rules is not None
    assert asked.rules.only is not None
    assert asked.rules.only.tolist() == [2, 5]
    assert asked.rules.demoted is not None
    rows, factors = asked.rules.demoted
    assert rows.tolist() == [2, 4]
    assert factors.tolist() == [0.5, 0.25]


def test_arrays_of_a_query_are_shared_and_not_copied(model: Model) -> None:
    allowed = np.ones(6, np.bool_)
    boost = np.ones(6, np.float32)
    groups = np.zeros(6, np.int32)
    query = Query((), (), 3, allowed=allowed, boost=boost, max_per=(groups, 2))
    (asked,) = in_rows(model, [query])
    assert asked.rules is not None
    assert asked.rules.allowed is allowed
    assert asked.rules.boost is boost
    assert asked.rules.max_per == (groups, 2)
