"""The verdict on tallies: known values, computed another way, and what holds for any tallies."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from likewise.experiments.confidence import (
    boundary,
    exceeds,
    quantile,
    sample_ratio_p,
    share_interval,
)
from likewise.experiments.tally import ExperimentTally, VariantTally
from likewise.experiments.verdict import Verdict, verdict_json, verdict_of
from likewise.messages.experiments import Experiment, Kind, Variant

if TYPE_CHECKING:
    from collections.abc import Sequence

USERS = st.lists(st.tuples(st.integers(1, 30), st.integers(0, 30)), max_size=80)


def experiment(
    kind: Kind = "split", shares: Sequence[float] = (1, 1), margin: float = 0.0
) -> Experiment:
    names = ("control", "fresh", "third")
    variants = [Variant(name=name, share=share) for name, share in zip(names, shares, strict=False)]
    return Experiment(
        name="e", kind=kind, variants=tuple(variants), seed="e", started_at_ms=0, margin=margin
    )


def tally_of(users: Sequence[tuple[int, int]], popular: int = 0) -> VariantTally:
    """Return the tally of users with (lists, likes) each, who are shown ten items a list."""
    lists = sum(n for n, _ in users)
    return VariantTally(
        users=len(users),
        lists=lists,
        shown=10 * lists,
        likes=sum(y for _, y in users),
        n2=sum(n * n for n, _ in users),
        ny=sum(n * y for n, y in users),
        y2=sum(y * y for _, y in users),
        latency=[0, 0, lists] + [0] * 8,
        popular=popular,
    )


def split(
    control: VariantTally,
    fresh: VariantTally,
    shares: Sequence[float] = (1, 1),
    margin: float = 0.0,
) -> Verdict:
    defined = experiment(shares=shares, margin=margin)
    return verdict_of(defined, ExperimentTally({"control": control, "fresh": fresh}))


def once(users: int, likes: int) -> VariantTally:
    """Return the tally of users with one list each, some of whom like one item."""
    return tally_of([(1, 1)] * likes + [(1, 0)] * (users - likes))


def test_the_boundary_is_where_the_mixture_of_likelihoods_reaches_one_over_alpha() -> None:
    information, scale, alpha = 400.0, 0.2, 0.05
    errors = boundary(information, scale, alpha)
    estimate = errors / math.sqrt(information)

    effects = np.linspace(-3, 3, 600_001)
    likelihoods = np.exp(information * (effects * estimate - effects**2 / 2))
    mixture = np.sum(stats.norm.pdf(effects, 0, scale) * likelihoods) * (effects[1] - effects[0])
    assert mixture == pytest.approx(1 / alpha, rel=1e-6)


def test_the_interval_holds_the_shares_from_which_the_observed_one_is_not_too_far() -> None:
    share, count, errors = 0.13, 217.0, 3.1

    def distance(true: float) -> float:
        return abs(share - true) / math.sqrt(true * (1 - true) / count) - errors

    low = optimize.brentq(distance, 1e-9, share)
    high = optimize.brentq(distance, share, 1 - 1e-9)
    assert share_interval(share, count, errors) == pytest.approx((low, high))


def test_without_any_of_a_kind_the_interval_begins_at_zero_and_is_no_point() -> None:
    low, high = share_interval(0.0, 100, 3.0)
    assert low == 0.0
    assert high == pytest.approx(9 / 109)
    assert share_interval(1.0, 100, 3.0) == pytest.approx((1 - high, 1.0))


def test_the_sample_ratio_is_one_over_a_beta_binomial_bayes_factor() -> None:
    counts = (5_120, 4_700)
    observed = stats.betabinom.logpmf(counts[0], sum(counts), 500, 500)
    null = stats.binom.logpmf(counts[0], sum(counts), 0.5)
    assert sample_ratio_p(counts, (2, 2)) == pytest.approx(math.exp(null - observed), rel=1e-6)


def test_equal_groups_have_a_sample_ratio_of_one_and_no_users_too() -> None:
    assert sample_ratio_p((0, 0), (1, 9)) == 1.0
    assert sample_ratio_p((1_000, 9_000), (1, 9)) == 1.0


def test_the_sample_ratio_looked_at_for_every_user_hardly_ever_alarms() -> None:
    draw = np.random.default_rng(7)
    lowest = []
    for _ in range(200):
        first = np.cumsum(draw.random(5_000) < 0.1)
        looks = range(50, 5_001, 50)
        lowest.append(
            min(sample_ratio_p((first[at - 1], at - first[at - 1]), (1, 9)) for at in looks)
        )
    assert np.mean(np.array(lowest) < 0.05) <= 0.05


def test_a_quantile_is_interpolated_in_its_bucket() -> None:
    assert quantile([0, 10, 10], (1, 3), 0.25) == 2.0
    assert quantile([0, 10, 10], (1, 3), 0.95) == 3
    assert quantile([0, 0, 0], (1, 3), 0.95) is None


def test_a_share_exceeds_another_only_above_noise() -> None:
    assert not exceeds(6, 100, 0.05, 0.01)
    assert not exceeds(0, 0, 0.05, 0.01)
    assert exceeds(600, 5_000, 0.05, 0.01)


def test_one_list_a_user_is_a_test_of_two_shares() -> None:
    found = split(once(10_000, 1_000), once(10_000, 1_200)).comparisons[0]
    # The same by hand: the residuals are those of Bernoulli trials; half of the likes are expected.
    spread = (10_000 * 0.1 * 0.9 + 10_000 * 0.12 * 0.88) / 4
    count = 2_200**2 / 4 / spread
    errors = boundary(count / 4, 0.2, 0.05)
    low, high = share_interval(1_200 / 2_200, count, errors)
    assert found.effect == pytest.approx(0.2)
    assert (found.low, found.high) == pytest.approx((low / (1 - low) - 1, high / (1 - high) - 1))
    assert found.decision == "better"


def test_users_who_like_much_count_as_one() -> None:
    many = split(once(4_000, 400), once(4_000, 480)).comparisons[0]
    few = split(tally_of([(20, 2)] * 100 + [(20, 0)] * 100 + [(20, 4)] * 50),
                tally_of([(20, 2)] * 100 + [(20, 0)] * 100 + [(20, 5)] * 50)).comparisons[0]  # fmt: skip
    assert many.high is not None
    assert few.high is not None
    assert many.effect is not None
    assert few.effect is not None
    assert few.high - few.effect > many.high - many.effect


def test_the_sentence_says_what_is_better_by_how_much() -> None:
    found = split(once(50_000, 5_000), once(50_000, 6_000))
    assert found.sentence == "`fresh` gets 20.0% more likes a list than `control` (13.1% to 27.4%)."
    found = split(once(50_000, 5_000), once(50_000, 4_000))
    assert (
        found.sentence == "`fresh` gets 20.0% fewer likes a list than `control` (14.5% to 25.1%)."
    )


def test_without_a_difference_the_sentence_says_which_effect_would_have_shown() -> None:
    found = split(once(50_000, 5_000), once(50_000, 5_010))
    assert found.comparisons[0].decision == "undecided"
    assert found.sentence == (
        "No difference between `fresh` and `control` found yet; an effect above 6.4% would have shown."
    )


def test_an_effect_as_large_as_the_reach_is_where_the_interval_leaves_zero() -> None:
    found = split(once(50_000, 5_000), once(50_000, 5_000)).comparisons[0]
    assert found.reach is not None
    likes = round(5_000 * (1 + found.reach))
    later = split(once(50_000, 5_000), once(50_000, likes)).comparisons[0]
    assert later.low == pytest.approx(0, abs=0.003)


def test_with_a_margin_a_variant_is_soon_not_worse() -> None:
    found = split(once(50_000, 5_000), once(50_000, 5_010), margin=0.1)
    assert found.comparisons[0].decision == "not_worse"
    assert found.sentence == ("`fresh` is at most 5.9% worse than `control`; the margin is 10.0%.")


def test_a_variant_that_nobody_likes_is_worse() -> None:
    found = split(once(1_000, 100), once(100, 0), shares=(10, 1)).comparisons[0]
    assert (found.effect, found.low, found.decision) == (-1.0, -1.0, "undecided"), (
        "ten were expected"
    )
    found = split(once(10_000, 1_000), once(1_000, 0), shares=(10, 1)).comparisons[0]
    assert found.decision == "worse"
    assert found.high is not None
    assert -1 < found.high < -0.8


def test_a_control_that_nobody_likes_bounds_nothing_from_above() -> None:
    found = split(once(3_000, 0), once(3_000, 300))
    assert found.comparisons[0].effect is None
    assert found.comparisons[0].high is None
    assert found.comparisons[0].decision == "better"
    assert "gets at least" in found.sentence


@pytest.mark.parametrize(
    ("control", "fresh", "sentence"),
    [
        (once(0, 0), once(0, 0), "No list has been shown yet."),
        (once(90, 9), once(0, 0), "`fresh` has shown no list yet."),
        (once(0, 0), once(90, 9), "`control` has shown no list yet."),
        (once(90, 0), once(80, 0), "No list has been liked yet."),
        (once(29, 9), once(40, 9), "Too few users yet to compare `fresh` with `control`."),
        (
            tally_of([(500, 50)] + [(1, 1)] * 99),
            tally_of([(1, 1)] * 99),
            "Too few users yet to compare `fresh` with `control`.",
        ),
    ],
)
def test_without_enough_nothing_is_decided_and_the_sentence_says_what_is_missing(
    control: VariantTally, fresh: VariantTally, sentence: str
) -> None:
    found = split(control, fresh)
    assert found.sentence == sentence
    assert found.comparisons[0].decision == "undecided"
    assert found.comparisons[0].low is None


def test_users_who_are_not_divided_as_demanded_leave_everything_undecided() -> None:
    found = split(once(10_000, 1_000), once(8_000, 1_600))
    assert not found.sample_ratio_ok
    assert found.comparisons[0].decision == "undecided"
    assert found.sentence.startswith("The users are not divided as the shares demand.")


def test_several_variants_share_the_false_alarms() -> None:
    shown = {"control": once(5_000, 500), "fresh": once(5_000, 560), "third": once(5_000, 500)}
    three = verdict_of(experiment(shares=(1, 1, 1)), ExperimentTally(shown), alpha=0.1)
    two = verdict_of(experiment(), ExperimentTally(shown), alpha=0.05)
    assert [found.variant for found in three.comparisons] == ["fresh", "third"]
    assert three.comparisons[0].low == pytest.approx(two.comparisons[0].low)


def interleaved(users: Sequence[tuple[int, int]], margin: float = 0.0) -> Verdict:
    """Return the verdict on users with so many likes of the control's items, and of the other's."""
    sides = [tally_of([(2, one[side]) for one in users]) for side in (0, 1)]
    tally = ExperimentTally(
        {"control": sides[0], "fresh": sides[1]}, cross=sum(y * z for y, z in users)
    )
    return verdict_of(experiment("interleaved", margin=margin), tally)


def test_shared_lists_compare_each_user_with_themselves() -> None:
    # Very unequal users, all of whom like a little more of the variant.
    found = interleaved([(10, 12), (100, 120), (1, 1), (0, 1)] * 100)
    assert found.comparisons[0].effect == pytest.approx(23 / 245)
    assert found.comparisons[0].decision == "better"
    assert found.sentence.startswith(
        "`fresh` gets 54.7% of the likes of shared lists, `control` the rest ("
    )
    assert found.sample_ratio_p is None


def test_the_interval_of_shared_lists_is_that_of_the_users_differences() -> None:
    found = interleaved([(1, 0), (0, 1), (2, 0), (0, 3)] * 30).comparisons[0]
    likes, spread = 7 * 30, (1 + 1 + 4 + 9) * 30
    count = likes**2 / spread
    low, high = share_interval(4 / 7, count, boundary(count / 4, 0.2, 0.05))
    assert (found.low, found.high) == pytest.approx((2 * low - 1, 2 * high - 1))


def test_the_margin_of_shared_lists_is_relative_to_the_control() -> None:
    users = [(1, 0), (0, 1)] * 600
    low = interleaved(users).comparisons[0].low
    assert low is not None
    worse = 1 - (1 + low) / (1 - low)
    verdict = interleaved(users, worse + 0.01)
    assert verdict.comparisons[0].decision == "not_worse"
    assert f"at most {worse:.1%} worse" in verdict.sentence, "on the same scale as the margin"
    assert interleaved(users, worse - 0.01).comparisons[0].decision == "undecided"


def test_a_slow_variant_fails_the_guardrail_of_latency() -> None:
    slow = once(2_000, 200)
    slow.latency = [0, 0, 1_700, 0, 300, *[0] * 6]
    found = {one.name: one for one in split(once(2_000, 200), slow).guardrails}
    assert not found["latency"].ok
    assert found["latency"].control < 5 < found["latency"].value
    assert found["popularity"].ok
    few = once(20, 2)
    few.latency = [0, 0, 17, 0, 3, *[0] * 6]
    assert split(once(20, 2), few).guardrails[0].ok, "this may be noise"


def test_a_variant_that_shows_what_is_popular_fails_the_guardrail_of_popularity() -> None:
    plain = tally_of([(1, 0)] * 2_000, popular=2_000)
    popular = tally_of([(1, 0)] * 2_000, popular=4_000)
    found = split(plain, popular)
    assert [one.name for one in found.guardrails if not one.ok] == ["popularity"]
    assert found.sentence.endswith(
        "Check the popularity: 20.0% of what `fresh` shows is popular; of what the control shows, 10.0%."
    )
    few = split(tally_of([(1, 0)] * 20, popular=20), tally_of([(1, 0)] * 20, popular=40))
    assert all(one.ok for one in few.guardrails)


@pytest.mark.parametrize(
    ("users", "items", "ok"),
    [
        (100_000, 770, False),
        (100_000, 810, True),
        (10_000, 90, True),
        (10_000, 50, False),
        (20, 1, True),
    ],
)
def test_coverage_is_compared_at_equal_numbers_of_lists(users: int, items: int, ok: bool) -> None:
    tally = ExperimentTally(
        {"control": once(100_000, 100), "fresh": once(users, 10)},
        items={"control": 1_000, "fresh": items},
    )
    found = verdict_of(experiment(), tally).guardrails[-1]
    assert (found.name, found.ok) == ("coverage", ok)


@given(control=USERS, fresh=USERS, margin=st.floats(0, 0.9))
def test_any_tallies_have_a_verdict_in_order(
    control: list[tuple[int, int]], fresh: list[tuple[int, int]], margin: float
) -> None:
    found = split(tally_of(control), tally_of(fresh), margin=margin)
    assert found.sentence
    assert json.loads(json.dumps(verdict_json(found), allow_nan=False)) == verdict_json(found)
    [one] = found.comparisons
    if one.effect is not None and one.low is not None:
        assert -1 <= one.low <= one.effect + 1e-9
        assert one.high is None or one.effect <= one.high + 1e-9
    if one.decision == "better":
        assert one.low is not None
        assert one.low > 0


@given(users=st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=80))
def test_exchanging_the_variants_of_shared_lists_exchanges_the_verdict(
    users: list[tuple[int, int]],
) -> None:
    [one] = interleaved(users).comparisons
    [other] = interleaved([(z, y) for y, z in users]).comparisons
    opposite = {"better": "worse", "worse": "better", "undecided": "undecided"}
    assert other.decision == opposite[one.decision]
    if one.low is not None:
        assert other.high == pytest.approx(-one.low)
