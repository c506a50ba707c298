"""The rules of a query, alone and together: compared with a brute-force ranking, and where the truth is known."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from likewise.messages.ids import ItemId
from likewise.ranking.queries import Query
from likewise.ranking.recommend import recommend
from tests.brute_force import ITEMS, exact_model, ranked

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from likewise.ranking.array_types import FloatArray, IntArray

model_of = cache(exact_model)
ids = [ItemId(f"i{row:02}") for row in range(ITEMS)]
some_ids = st.sets(st.sampled_from([*ids, ItemId("unknown")]), max_size=12)
seeds = st.integers(0, 999).map(np.random.default_rng)
factors = st.sampled_from([0.25, 0.5, 1.0, 2.0])


def masks() -> st.SearchStrategy[NDArray[np.bool_]]:
    shares = st.sampled_from([0.0, 0.1, 0.5, 0.9])
    return st.builds(lambda share, draw: draw.random(ITEMS) < share, shares, seeds)


def boosts() -> st.SearchStrategy[FloatArray]:
    return seeds.map(lambda draw: draw.choice([0.25, 0.5, 1, 2], ITEMS).astype(np.float32))


def groups() -> st.SearchStrategy[tuple[IntArray, int]]:
    codes = st.builds(
        lambda many, draw: draw.integers(-1, many, ITEMS).astype(np.int32), st.integers(1, 8), seeds
    )
    return st.tuples(codes, st.integers(1, 3))


@st.composite
def queries(draw: st.DrawFn) -> Query:
    liked = draw(some_ids)
    signed = st.sampled_from([-2.0, -0.5, 0.0, 0.25, 3.0])
    places = draw(st.lists(st.integers(1, 20), unique=True, max_size=4))
    pinned = draw(st.lists(st.sampled_from(ids), unique=True, min_size=4, max_size=4))
    return Query(
        liked=liked,
        banned=liked | draw(some_ids),
        count=draw(st.integers(1, 20)),
        explain=100,
        diversity=draw(st.sampled_from([0.0, 0.0, 0.5, 1.0])),
        novelty=draw(st.sampled_from([0.0, 0.0, 0.5])),
        fill=draw(st.booleans()),
        weights=draw(st.none() | st.dictionaries(st.sampled_from(ids), signed, max_size=8)),
        allowed=draw(st.none() | masks()),
        only=draw(st.none() | some_ids),
        boost=draw(st.none() | boosts()),
        demoted=draw(
            st.none() | st.dictionaries(st.sampled_from(ids), factors.filter(lambda f: f <= 1))
        ),
        max_per=draw(st.none() | groups()),
        pins=tuple(zip(pinned, places, strict=False)),
        source=draw(st.sampled_from(["model", "model", "model", "popular"])),
    )


@pytest.mark.parametrize("limit", [0, 200_000], ids=["search", "scan"])
@pytest.mark.parametrize("narrow", [0, 20_000], ids=["wide", "narrow"])
@settings(max_examples=60, deadline=None)
@given(asked=st.lists(queries(), min_size=1, max_size=4), retired=some_ids, shared=masks())
def test_every_combination_of_rules_is_ranked_as_by_brute_force(
    limit: int,
    narrow: int,
    asked: list[Query],
    retired: set[ItemId],
    shared: NDArray[np.bool_],
) -> None:
    model = model_of()
    asked += [replace(query, allowed=shared) for query in asked[:2]]
    with patch.multiple(
        "likewise.ranking.best_items",
        _NARROW=narrow,
        _PART=ITEMS - narrow,
        _COPIED=0,
        _SEARCH=narrow and ITEMS,
    ):
        answers = recommend(model, asked, retired, exact_items_limit=limit)
    for query, answer in zip(asked, answers, strict=True):
        expected = ranked(model, query, retired)
        assert [(one.item_id, one.score) for one in answer.items] == expected
        if answer.source == "model":
            for one in answer.items:
                added = sum(share for _, share in one.because)
                assert added == pytest.approx(one.score, rel=0.02)


@pytest.mark.parametrize("limit", [0, 200_000], ids=["search", "scan"])
def test_pins_may_take_every_place(limit: int) -> None:
    pins = ((ids[7], 2), (ids[3], 1))
    (answer,) = recommend(
        model_of(), [Query(ids[10:20], ids[10:20], 2, pins=pins)], exact_items_limit=limit
    )
    assert [one.item_id for one in answer.items] == [ids[3], ids[7]]


@pytest.mark.parametrize("limit", [0, 200_000], ids=["search", "scan"])
def test_a_factor_of_zero_moves_items_behind_all_others_and_removes_none(limit: int) -> None:
    model = model_of()
    query = Query(ids[:3], ids[:3], ITEMS, fill=False)
    (plain,) = recommend(model, [query], exact_items_limit=limit)
    best = plain.items[0].item_id
    (demoted,) = recommend(model, [replace(query, demoted={best: 0.0})], exact_items_limit=limit)
    assert demoted.items[:-1] == plain.items[1:]
    assert demoted.items[-1] == (best, 0.0, ())
