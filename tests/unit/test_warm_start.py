"""A build begins with the factors of the last one where these are of the same kind of matrix."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec import structs

from indexer.build import build_model
from indexer.interactions import UserLikes, interactions_of
from indexer.warm_start import WarmStart
from likewise.messages.ids import ItemId, UserId
from likewise.ranking.recipe import Recipe

OLD = [ItemId("a"), ItemId("b"), ItemId("c")]
VECTORS = np.array([[1, 2], [3, 4], [5, 6]], np.float32)


def warm() -> WarmStart:
    """A start after a build on items a, b and c."""
    start = WarmStart()
    start.remember(OLD, Recipe(), VECTORS)
    return start


def test_there_is_nothing_to_begin_with_before_the_first_build() -> None:
    assert WarmStart().vectors(OLD, Recipe()) is None


def test_vectors_follow_their_items_and_new_items_begin_at_zero() -> None:
    found = warm().vectors([ItemId("aa"), ItemId("b"), ItemId("c")], Recipe())
    assert found is not None
    assert found.tolist() == [[0, 0], [3, 4], [5, 6]]


@pytest.mark.parametrize("change", [{"rank": 8}, {"user_exponent": 0.5}, {"item_exponent": 0.0}])
def test_vectors_of_another_matrix_or_rank_are_not_used(change: dict[str, float]) -> None:
    assert warm().vectors(OLD, structs.replace(Recipe(), **change)) is None


def test_what_only_the_ranking_depends_on_makes_no_difference() -> None:
    assert warm().vectors(OLD, structs.replace(Recipe(), ridge=3.0, ranker="spectral")) is not None


def test_a_catalogue_that_is_mostly_new_begins_cold() -> None:
    assert warm().vectors([ItemId(f"n{number}") for number in range(4)] + OLD, Recipe()) is None


def test_a_build_remembers_its_vectors_for_the_next_one() -> None:
    likes = [{ItemId(f"i{(user + n) % 9}") for n in range(3)} for user in range(20)]
    interactions = interactions_of([UserLikes([UserId(f"u{n}") for n in range(20)], likes)])
    start, recipe = WarmStart(), Recipe(rank=4)
    model = build_model(interactions, recipe, warm=start)
    again = start.vectors(interactions.item_ids, recipe)
    assert again is not None
    assert np.array_equal(again, model.item_factors)
