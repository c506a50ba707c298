"""The generator of the benchmarks: what it promises of popularity, activity and tastes."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.synthetic import (
    POPULARITY_EXPONENT,
    clusters_of,
    item_ids,
    synthetic_likes,
    user_ids,
)

USERS, ITEMS = 20_000, 5_000


def test_equal_seeds_give_equal_likes_and_others_do_not() -> None:
    one, same, other = (synthetic_likes(200, 100, seed=seed) for seed in (1, 1, 2))
    assert one.toarray().tolist() == same.toarray().tolist()
    assert one.toarray().tolist() != other.toarray().tolist()


def test_every_user_likes_something_and_nothing_twice() -> None:
    likes = synthetic_likes(USERS, ITEMS)
    assert likes.shape == (USERS, ITEMS)
    assert likes.dtype == np.float32
    assert np.diff(likes.indptr).min() >= 1
    assert set(likes.data.tolist()) == {1.0}
    rows = np.repeat(np.arange(USERS), np.diff(likes.indptr))
    steps = np.diff(rows * ITEMS + likes.indices.astype(np.int64))
    assert steps.min() > 0  # sorted, none twice


@pytest.mark.parametrize("likes_per_user", [10, 40])
def test_users_have_about_as_many_likes_as_asked_for(likes_per_user: int) -> None:
    lengths = np.diff(synthetic_likes(USERS, ITEMS, likes_per_user=likes_per_user).indptr)
    assert lengths.mean() == pytest.approx(likes_per_user, rel=0.05)
    assert np.median(lengths) < 0.9 * lengths.mean()  # a few like far more than most


def test_popularity_falls_with_a_power_of_the_rank() -> None:
    likes = synthetic_likes(USERS, ITEMS)
    popularity = np.sort(np.bincount(likes.indices, minlength=ITEMS))[::-1]
    ranks = np.arange(100, 3_000)  # the head is flattened, the tail is noise
    slope = np.polyfit(np.log(ranks), np.log(popularity[ranks]), 1)[0]
    assert slope == pytest.approx(-POPULARITY_EXPONENT, abs=0.15)
    assert popularity[: ITEMS // 100].sum() > 0.1 * popularity.sum()


def test_users_keep_to_a_few_clusters() -> None:
    """Two likes of one user share a cluster far more often than likes of different users do."""
    likes = synthetic_likes(USERS, ITEMS)
    together = (likes.T @ likes).toarray().astype(np.float64)
    popularity = np.bincount(likes.indices, minlength=ITEMS)
    lift = together * USERS / np.maximum(np.outer(popularity, popularity), 1)
    popular = np.argsort(-popularity)[:300]
    lifts = lift[np.ix_(popular, popular)][~np.eye(300, dtype=bool)]
    same_cluster = 1 / clusters_of(ITEMS)
    assert np.quantile(lifts, 1 - same_cluster / 2) > 3 * np.median(lifts)


def test_a_tiny_catalogue_has_likes_as_well() -> None:
    assert synthetic_likes(3, 1).toarray().tolist() == [[1.0], [1.0], [1.0]]


def test_ids_sort_like_the_rows_they_stand_for() -> None:
    assert user_ids(12) == sorted(user_ids(12))
    assert item_ids(1_000) == sorted(item_ids(1_000))
