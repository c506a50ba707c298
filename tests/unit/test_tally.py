"""Tallies and the fields that Redis keeps of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from likewise.experiments.tally import (
    ExperimentTally,
    VariantTally,
    add_fields,
    empty_tally,
    from_fields,
    latency_place,
    to_fields,
)

counts = st.integers(min_value=0, max_value=1 << 40)


def row(size: int) -> st.SearchStrategy[list[int]]:
    return st.lists(counts, min_size=size, max_size=size)


tallies = st.builds(
    VariantTally,
    **dict.fromkeys(
        ("users", "lists", "shown", "likes", "hits", "n2", "ny", "y2", "popular"), counts
    ),
    shown_at=row(20),
    likes_at=row(20),
    latency=row(11),
)


@given(tallies, tallies, tallies.filter(lambda tally: tally != VariantTally()), counts)
def test_a_tally_is_read_back_from_its_fields(
    control: VariantTally, wide: VariantTally, of_scenario: VariantTally, cross: int
) -> None:
    tally = ExperimentTally(
        variants={"control": control, "wide": wide},
        cross=cross,
        items={"control": 3, "wide": 0},
        by_scenario={"home": {"control": VariantTally(), "wide": of_scenario}},
    )
    assert from_fields(to_fields(tally), ["control", "wide"], {"control": 3}) == tally


def test_every_variant_is_there_before_anything_is_counted() -> None:
    assert from_fields({}, ["b", "a"]) == empty_tally(["b", "a"])
    assert list(empty_tally(["b", "a"]).variants) == ["b", "a"]


def test_fields_of_other_versions_are_ignored() -> None:
    fields = {"/a/lists": 1, "/gone/lists": 2, "/a/new_count": 3, "/a/shown_at/99": 4, "x": 5}
    assert to_fields(from_fields(fields, ["a"])) == {"/a/lists": 1}


def test_changes_add_up_and_zeros_are_left_out() -> None:
    total = {"/a/lists": 2, "/a/likes": 1}
    add_fields(total, {"/a/likes": -1, "/a/shown": 3})
    assert total == {"/a/lists": 2, "/a/shown": 3}


@pytest.mark.parametrize(("latency_ms", "place"), [(0, 0), (1, 0), (1.5, 1), (1000, 9), (1001, 10)])
def test_bounds_of_latency_are_inclusive(latency_ms: float, place: int) -> None:
    assert latency_place(latency_ms) == place
