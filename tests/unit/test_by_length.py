"""The scan in order of length gives what the scan of all items gives."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from likewise.messages.ids import ItemId
from likewise.ranking.array_types import empty_matrix
from likewise.ranking.model import Model
from likewise.ranking.queries import RowQuery, Rules
from likewise.ranking.recipe import Recipe
from likewise.ranking.recommend import recommend_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from likewise.ranking.found import RankedRows

N_ITEMS, RANK = 9_001, 12


@pytest.fixture(scope="module")
def model() -> Model:
    """A few items have long vectors, most have short ones; the links are few and of both signs."""
    draw = np.random.default_rng(0)
    vectors = draw.normal(size=(N_ITEMS, RANK)) * draw.pareto(2, (N_ITEMS, 1))
    linked = np.arange(N_ITEMS * 20) // 20, draw.integers(0, N_ITEMS, N_ITEMS * 20)
    values = draw.normal(0.3, 1, N_ITEMS * 20).astype(np.float32)
    return Model(
        recipe=Recipe(rank=RANK, ridge_exponent=0.5),
        item_ids=[ItemId(f"i{row}") for row in range(N_ITEMS)],
        item_counts=np.ones(N_ITEMS, np.int32),
        n_users=10,
        n_likes=100,
        typical_likes=5.0,
        user_items=empty_matrix(0, N_ITEMS),
        item_factors=(vectors / np.linalg.norm(vectors, axis=0)).astype(np.float32),
        spectrum=np.linspace(0.9, 0.2, RANK, dtype=np.float32),
        query_weights=draw.random(N_ITEMS, np.float32) * 60,
        score_weights=draw.random(N_ITEMS, np.float32),
        cooccurrence=sparse.csr_array((values, linked), shape=(N_ITEMS, N_ITEMS)),
        plain_rows=draw.random(N_ITEMS) < 0.5,
        doubled=np.linspace(0.5, 0.1, RANK, dtype=np.float32),
        item_index=None,
        user_index=None,
    )


def whole(model: Model, queries: list[RowQuery], retired: NDArray[np.intp]) -> list[RankedRows]:
    """Return what a scan of all items returns."""
    other = changed(model)
    other.__dict__["by_length"] = None
    return recommend_rows(other, queries, retired)


rows = st.lists(st.integers(0, N_ITEMS - 1), min_size=1, max_size=40, unique=True).map(
    lambda chosen: np.sort(np.array(chosen, np.intp))
)


@st.composite
def queries(draw: st.DrawFn) -> RowQuery:
    liked = draw(rows)
    passing = draw(st.sampled_from([None, 0.9, 0.5, 0.003]))
    seed = draw(st.integers(0, 3))
    rules = None
    if passing is not None:
        rules = Rules(np.random.default_rng(seed).random(N_ITEMS) < passing)
    if draw(st.booleans()):
        groups = np.random.default_rng(seed).integers(-1, 4, N_ITEMS).astype(np.int32)
        rules = (rules or Rules())._replace(max_per=(groups, 2))
    weights = None
    if draw(st.booleans()):
        weights = np.where(np.arange(len(liked)) % 3, 0.5, -2).astype(np.float32)
    return RowQuery(
        liked,
        draw(st.one_of(st.just(liked), rows)),
        draw(st.sampled_from([1, 10, 60, 1_000])),
        diversity=draw(st.sampled_from([0.0, 0.3])),
        fill=draw(st.booleans()),
        weights=weights,
        rules=rules,
    )


@settings(deadline=None, max_examples=25)
@given(st.lists(queries(), min_size=1, max_size=8), rows)
def test_it_finds_what_a_scan_of_all_items_finds(
    model: Model, asked: list[RowQuery], retired: NDArray[np.intp]
) -> None:
    assert model.by_length is not None
    expected = whole(model, asked, retired)
    for found, truth in zip(recommend_rows(model, asked, retired), expected, strict=True):
        assert found.known == truth.known
        assert found.scores == pytest.approx(truth.scores, rel=1e-3, abs=1e-6)
        # Sums in another order may swap items that score the same to within rounding.
        assert len(np.setdiff1d(found.rows, truth.rows)) <= len(truth.rows) // 100


def test_items_that_are_too_short_are_not_scored(model: Model) -> None:
    """If the vectors of the shortest items were long, answers would hold nothing else."""
    unlinked = changed(model, cooccurrence=empty_matrix(N_ITEMS, N_ITEMS))
    order = unlinked.by_length
    assert order is not None
    asked = [RowQuery(row, row, 10) for row in np.sort(order.rows[:40].reshape(20, 2))]
    before = recommend_rows(unlinked, asked)
    order.columns[:, -1_000:] = 1e6 * order.columns[:, :1]
    after = recommend_rows(unlinked, asked)
    assert [one.rows.tolist() for one in after] == [one.rows.tolist() for one in before]


def test_small_catalogues_have_no_order(model: Model) -> None:
    assert changed(model, item_factors=model.item_factors[:5_000]).by_length is None


def changed(model: Model, **fields: object) -> Model:
    """Return the model with other fields, and without what was computed from them."""
    same = {field.name: getattr(model, field.name) for field in dataclasses.fields(model)}
    return Model(**same | fields)
