"""The links of a blend: rows of co-occurrence as it is, and rows of what the factors leave of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from benchmarks.synthetic import item_ids, synthetic_likes, user_ids
from indexer.build import build_model
from indexer.cooccurrence import residual
from indexer.interactions import Interactions
from indexer.svd import normalise, truncated_svd
from likewise.ranking import blend
from likewise.ranking.recipe import Recipe

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_array

RIDGE = 2.0
RANK = 12


@pytest.fixture(scope="module")
def likes() -> Interactions:
    found = synthetic_likes(300, 200, likes_per_user=5, seed=2)
    found = found[:, np.flatnonzero(found.sum(axis=0))]  # no column of a store is empty
    return Interactions(found, user_ids(300), item_ids(found.shape[1]))


def recipe_of(keep: int) -> Recipe:
    return Recipe(rank=RANK, ridge=RIDGE, ridge_exponent=0.0, similar_items=keep)


def eigenpairs(likes: Interactions) -> tuple[csr_array, NDArray[np.float32], NDArray[np.float32]]:
    normalised = normalise(likes.user_items, 0.25, 0.25)
    values, vectors = truncated_svd(normalised, RANK, seed=0)
    return normalised, values**2, vectors


def test_links_that_are_not_cut_give_the_filter_of_every_pair_of_items(
    likes: Interactions,
) -> None:
    normalised, e, v = eigenpairs(likes)
    recipe = recipe_of(keep=likes.user_items.shape[1])
    model = build_model(likes, recipe)
    assert model.plain_rows.all()
    tail = 1 / (e[-1] + RIDGE)
    s = (normalised.T @ normalised).toarray()
    expected = (v * (e / (e + RIDGE) - tail * e)) @ v.T + tail * s
    assert (s == 0).mean() > 0.5  # pairs that never occur together count, too
    weighted = likes.user_items.multiply(model.query_weights[None, :]).toarray()
    scores = blend.scores(model, likes.user_items)
    unliked = likes.user_items.toarray() == 0  # what a like adds to its own item is never used
    whole = (weighted @ expected) * model.score_weights
    assert scores[unliked] == pytest.approx(whole[unliked], rel=1e-2, abs=1e-4)


@pytest.mark.parametrize("keep", [5, 20, 60])
def test_each_row_is_kept_in_the_form_that_loses_less(likes: Interactions, keep: int) -> None:
    normalised, e, v = eigenpairs(likes)
    part = residual(normalised, e, v, keep=keep)
    s = (normalised.T @ normalised).toarray()
    np.fill_diagonal(s, 0)
    rest = s - (v * e) @ v.T
    np.fill_diagonal(rest, 0)
    kept = part.links.toarray()
    lost_plain = energy(s) - kept_energy(s, keep)
    lost = energy(rest) - kept_energy(np.where(s == 0, 0, rest), keep)
    clear = np.abs(lost - lost_plain) > 0.01 * lost
    assert np.array_equal(part.plain[clear], (lost_plain < lost)[clear])
    assert 0 < part.plain.sum() < len(part.plain) or keep == 60
    for plain, whole in ((True, s), (False, rest)):
        rows = part.plain == plain
        entries = kept[rows] != 0
        assert kept[rows][entries] == pytest.approx(whole[rows][entries], abs=1e-4)
        assert (entries.sum(axis=1) <= keep).all()


def energy(matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    squares: NDArray[np.float32] = (matrix**2).sum(axis=1)
    return squares


def kept_energy(matrix: NDArray[np.float32], keep: int) -> NDArray[np.float32]:
    return energy(np.sort(np.abs(matrix), axis=1)[:, -keep:])


def test_contributions_add_up_where_rows_are_of_both_forms(likes: Interactions) -> None:
    model = build_model(likes, recipe_of(keep=20))
    assert 0 < model.plain_rows.sum() < len(model.plain_rows)
    scores = blend.scores(model, likes.user_items)
    for user in range(30):
        liked = likes.user_items[[user]].indices.astype(np.intp)
        items = np.array([150, 0, 50])
        shares = blend.contributions(model, liked, None, items)
        assert shares.sum(axis=1) == pytest.approx(scores[user, items], rel=1e-3, abs=1e-5)
