"""Two models on the same requests: agreement with known values, and a verdict that is earned."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from likewise.evaluation.shadow.comparison import FEWEST_USERS, Shadowed, compare
from likewise.messages.ids import ItemId
from likewise.ranking.agreement import overlap, rank_biased_overlap

if TYPE_CHECKING:
    from collections.abc import Iterable

LISTS = st.lists(st.integers(0, 12), max_size=8, unique=True)


def items(names: Iterable[str]) -> list[ItemId]:
    return [ItemId(name) for name in names]


def shadowed(who: object, a: str, b: str, later: str = "") -> Shadowed:
    """One letter is one item."""
    return Shadowed(who, max(len(a), len(b), 1), items(a), items(b), frozenset(items(later)))


# --- agreement -------------------------------------------------------------------------------


def test_overlap_is_the_share_of_the_longer_list_in_both() -> None:
    assert overlap("abcd", "dcxy") == 0.5
    assert overlap("ab", "abcd") == 0.5
    assert overlap("", "ab") == 0.0
    assert overlap("", "") == 1.0


def test_rank_biased_overlap_of_known_lists() -> None:
    """By hand, of equation 32: sums over depths of agreement times p^d, extrapolated."""
    p = 0.9
    assert rank_biased_overlap("abc", "abc", persistence=p) == pytest.approx(1.0)
    assert rank_biased_overlap("abc", "xyz", persistence=p) == 0.0
    assert rank_biased_overlap("ab", "ba", persistence=p) == pytest.approx(p)
    assert rank_biased_overlap("ab", "ax", persistence=p) == pytest.approx(
        (1 - p) / p * (p + p**2 / 2) + p**2 / 2
    )
    # Lengths 1 and 2: X_1 = X_2 = 1, so that what is missing is taken to agree as far as seen.
    assert rank_biased_overlap("a", "ab", persistence=p) == pytest.approx(
        (1 - p) / p * (p + p**2 / 2 + p**2 / 2) + p**2
    )
    assert rank_biased_overlap("", "ab") == 0.0
    assert rank_biased_overlap("", "") == 1.0


def test_a_difference_at_the_top_counts_more_than_one_at_the_bottom() -> None:
    assert rank_biased_overlap("abcd", "xbcd") < rank_biased_overlap("abcd", "abcx")


@given(LISTS, LISTS)
def test_agreement_is_symmetric_and_between_nothing_and_all(
    one: list[int], other: list[int]
) -> None:
    for measure in (overlap, rank_biased_overlap):
        value = measure(one, other)
        assert value == pytest.approx(measure(other, one))
        assert -1e-9 <= value <= 1 + 1e-9
        assert measure(one, one) == pytest.approx(1.0)


# --- comparison ------------------------------------------------------------------------------


def test_the_same_answers_agree_and_neither_is_better() -> None:
    found = compare([shadowed(n, "abc", "abc", "a") for n in range(50)], seed=0)
    assert {name: mean.mean for name, mean in found.agreement.items()} == pytest.approx(
        {"overlap": 1.0, "rank_biased_overlap": 1.0, "identical": 1.0}
    )
    assert found.later["recall"].difference == (0.0, 0.0, 0.0)
    assert found.better is None
    assert found.verdict.startswith("Neither model is shown to be better")


def test_the_model_whose_answers_hold_what_was_liked_later_is_better() -> None:
    """B finds one of two later likes at the first place, A none."""
    requests = [shadowed(n, "abc", "xyz", "xm") for n in range(40)]
    found = compare(requests, seed=0)
    assert (found.later["recall"].a, found.later["recall"].b) == (0.0, 0.5)
    assert found.later["hit_rate"].difference.mean == 1.0
    ideal = 1 + 1 / 1.5849625007211562
    assert found.later["ndcg"].b == pytest.approx(1 / ideal)
    assert (found.later_requests, found.later_users, found.later_likes) == (40, 40, 80)
    assert found.better == "b"
    assert "B is better: of what users liked later, B's answers hold 50.0%" in found.verdict
    turned = [shadowed(one.who, "xyz", "abc", "xm") for one in requests]
    assert compare(turned, seed=0).better == "a"


def test_a_difference_that_users_do_not_agree_on_decides_nothing() -> None:
    found = compare([shadowed(n, "a", "x", "ax"[n % 2]) for n in range(60)], seed=0)
    low, high = found.later["recall"].difference[1:]
    assert low < 0 < high
    assert found.better is None


def test_many_requests_of_one_user_count_as_one_user() -> None:
    """The busy user's answers hold all, everybody else's nothing: the mean is over users."""
    busy = [shadowed("busy", "a", "x", "x")] * 1_000
    others = [shadowed(n, "a", "y", "x") for n in range(3)]
    found = compare([*busy, *others], seed=0)
    assert found.later["recall"].b == pytest.approx(0.25)
    assert found.later_likes == 4
    assert found.better is None
    assert f"at least {FEWEST_USERS}" in found.verdict


def test_without_later_likes_the_answers_are_compared_and_nothing_is_decided() -> None:
    found = compare([shadowed(1, "abcd", "abxy"), shadowed(2, "ab", "ab")], seed=0)
    assert found.agreement["overlap"].mean == 0.75
    assert found.agreement["identical"].mean == 0.5
    assert found.later == {}
    assert found.better is None
    assert "Compare again" in found.verdict


def test_one_seed_gives_one_interval() -> None:
    requests = [shadowed(n, "ab", "bx"[n % 2] + "c", "b") for n in range(30)]
    assert compare(requests, seed=5) == compare(requests, seed=5)
