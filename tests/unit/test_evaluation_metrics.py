"""Metrics: by hand, against the plainest definitions, and at their bounds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from indexer.interactions import UserLikes, interactions_of
from likewise.evaluation.likes.held_out import HeldOut
from likewise.evaluation.metrics.bootstrap import intervals, resampled_means
from likewise.evaluation.metrics.lists import METRICS, coverage, per_user, popular_items
from likewise.messages.ids import ItemId, UserId

ITEMS = 20


def held_out_of(wanted: list[set[int]], unknown: int = 0) -> HeldOut:
    """Users u0… of whom these items are wanted, and so many besides that the fit does not know.

    Item 0 is liked by all of 16 users, item 1 by one; the others by two.
    """
    likes = [{0, 1} if user == 0 else {0} for user in range(16)]
    for item in range(2, ITEMS):
        likes[item % 16].add(item)
        likes[(item + 5) % 16].add(item)
    fit = interactions_of(
        [
            UserLikes(
                [UserId(f"u{user:02}") for user in range(16)],
                [{ItemId(f"i{item:02}") for item in items} for items in likes],
            )
        ]
    )
    rows = [(user, item) for user, items in enumerate(wanted) for item in sorted(items)]
    users, items = np.array(rows, np.intp).reshape(-1, 2).T
    matrix = csr_array((np.ones(len(rows), np.float32), (users, items)), shape=(len(wanted), ITEMS))
    counts = np.array([len(each) + unknown for each in wanted], np.intp)
    return HeldOut(fit, np.arange(len(wanted)), matrix, counts)


def figures(top: list[int], wanted: set[int], unknown: int = 0) -> dict[str, float]:
    values = per_user(np.array([top]), held_out_of([wanted], unknown), np.array([0]))
    return dict(zip(METRICS, values[0].tolist(), strict=True))


def test_hits_at_places_two_and_four_of_five_by_hand() -> None:
    found = figures([5, 6, 7, 8, 9], {6, 8, 11})
    ideal = 1 / math.log2(2) + 1 / math.log2(3) + 1 / math.log2(4)
    assert found["recall"] == pytest.approx(2 / 3)
    assert found["ndcg"] == pytest.approx((1 / math.log2(3) + 1 / math.log2(5)) / ideal)
    assert found["hit_rate"] == 1
    assert found["mrr"] == pytest.approx(1 / 2)


def test_the_ideal_is_cut_at_the_length_of_the_list_and_recall_is_not() -> None:
    found = figures([5, 6], {5, 6, 7, 8})
    assert found["ndcg"] == pytest.approx(1)
    assert found["recall"] == pytest.approx(1 / 2)


def test_wanted_items_that_nobody_could_know_count_as_missed() -> None:
    assert figures([5, 6], {5}, unknown=3)["recall"] == pytest.approx(1 / 4)


def test_places_without_an_item_are_neither_hits_nor_counted() -> None:
    found = figures([0, -1, -1], {19})
    assert found["recall"] == 0
    assert found["mrr"] == 0
    assert found["popular_share"] == 1
    assert found["novelty"] == pytest.approx(0)  # everybody likes item 0


def test_novelty_is_the_bits_of_surprise_of_the_items_given() -> None:
    found = figures([1, 2], {3})
    assert found["novelty"] == pytest.approx((math.log2(16 / 1) + math.log2(16 / 2)) / 2)
    assert found["popular_share"] == pytest.approx(1 / 2)  # popular are items 0 and 2 of twenty


def test_the_most_liked_tenth_is_popular_and_at_least_one_item() -> None:
    assert np.flatnonzero(popular_items(np.array([1, 9, 2] + [0] * 17))).tolist() == [1, 2]
    assert np.flatnonzero(popular_items(np.array([1, 9, 2]))).tolist() == [1]


def test_coverage_counts_items_once() -> None:
    assert coverage(np.array([[1, 2], [2, -1]]), 4) == 1 / 2
    assert coverage(np.array([[-1]]), 0) == 0


@given(
    st.lists(st.permutations(range(ITEMS)), min_size=1, max_size=4),
    st.lists(st.sets(st.integers(0, ITEMS - 1), min_size=1), min_size=4, max_size=4),
    st.integers(1, 10),
)
def test_all_metrics_agree_with_their_plainest_definitions(
    lists: list[list[int]], wanted: list[set[int]], k: int
) -> None:
    users = np.arange(len(lists))
    top = np.array([each[:k] for each in lists])
    values = per_user(top, held_out_of(wanted), users)
    for row, (given_items, asked) in enumerate(zip(top.tolist(), wanted, strict=False)):
        hits = [item in asked for item in given_items]
        gain = sum(hit / math.log2(place + 2) for place, hit in enumerate(hits))
        ideal = sum(1 / math.log2(place + 2) for place in range(min(k, len(asked))))
        first = next((1 / (place + 1) for place, hit in enumerate(hits) if hit), 0)
        expected = [sum(hits) / len(asked), gain / ideal, float(any(hits)), first]
        assert values[row, :4] == pytest.approx(expected)
    assert (values[:, [0, 1, 2, 3, 5]] <= 1 + 1e-9).all()


def test_metrics_of_some_users_are_theirs() -> None:
    held_out = held_out_of([{5}, {6}, {7}])
    top = np.array([[7], [6]])
    assert per_user(top, held_out, np.array([2, 0]))[:, 0].tolist() == [1, 0]


def test_intervals_hold_the_true_mean_about_as_often_as_they_say() -> None:
    draw = np.random.default_rng(5)
    held = 0
    for seed in range(100):
        values = draw.exponential(1.0, (80, 1))
        low, high = intervals(resampled_means(values, seed=seed, resamples=300))
        held += bool(low[0] <= 1.0 <= high[0])
    assert 85 <= held <= 99


def test_equal_seeds_draw_the_same_users_so_that_differences_are_paired() -> None:
    values = np.random.default_rng(0).random((50, 2))
    better = values + 0.01
    means, other = (resampled_means(each, seed=3, resamples=50) for each in (values, better))
    assert (other - means) == pytest.approx(0.01)
