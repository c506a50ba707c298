"""Which users a canary has, and when it ends: pure functions."""

from __future__ import annotations

import pytest
from msgspec import structs

from indexer.canary import Evidence, canary_of, decide
from likewise.experiments.assignment import assigned
from likewise.experiments.comparison import Comparison
from likewise.experiments.guardrails import Guardrail
from likewise.experiments.tally import empty_tally
from likewise.experiments.verdict import Verdict
from likewise.messages.experiments import Experiment, decode_stored_experiment, encode_experiment
from likewise.messages.ids import UserId
from likewise.settings import ModelSettings

OLD, NEW = "20260101T000000.000Z", "20260102T000000.000Z"
USERS = [UserId(f"u{number}") for number in range(1_000)]
DAY_MS = 86_400_000


def canary(
    share: float = 0.1, kind: str = "split", users: list[UserId] | None = None, version: str = NEW
) -> Experiment:
    settings = structs.replace(ModelSettings(), canary_share=share, canary_kind=kind)
    known = USERS if users is None else users
    return canary_of(version, OLD, settings, window_s=60.0, users=known, now_ms=1_000)


def share_that_sees(experiment: Experiment, users: list[UserId]) -> float:
    parts = [assigned(experiment, user) for user in users]
    seen = [
        part for part in parts if part and (part.variant is None or part.variant.name == "canary")
    ]
    return len(seen) / len(users)


def evidence(
    comparison: Comparison | None = None,
    *guardrails: Guardrail,
    lists: tuple[int, int] = (900, 100),
    ratio_ok: bool = True,
) -> Evidence:
    compared = [comparison or Comparison("canary")]
    tally = empty_tally(["current", "canary"])
    tally.variants["current"].lists, tally.variants["canary"].lists = lists
    return Evidence(Verdict(compared, list(guardrails), 0.5, ratio_ok, 0.05, "…"), tally)


def decision(found: Evidence, *, after_s: float = 10.0, kind: str = "split") -> str | None:
    now_ms = 1_000 + int(after_s * 1_000)
    decided = decide(canary(kind=kind), found, now_ms=now_ms, longest_s=3_600.0)
    return None if decided is None else decided.decision


@pytest.mark.parametrize("kind", ["split", "interleaved"])
@pytest.mark.parametrize("share", [0.02, 0.1, 0.5])
@pytest.mark.parametrize("number", range(5))
def test_at_most_the_share_of_the_known_users_sees_the_new_model(
    kind: str, share: float, number: int
) -> None:
    users = [UserId(f"{number} {user}") for user in range(200)]
    seen = share_that_sees(canary(share, kind, users, f"2026010{number}T000000.000Z"), users)
    assert 0.5 * share <= seen <= share


def test_a_share_of_less_than_one_user_is_one_user() -> None:
    users = [UserId(f"u{number}") for number in range(10)]
    assert share_that_sees(canary(0.01, users=users), users) <= 0.1


def test_everybody_else_is_the_control_of_a_split_canary() -> None:
    parts = [assigned(canary(0.25), user) for user in USERS]
    assert all(part is not None and part.variant is not None for part in parts)
    assert canary(1.0).variants[0].share == canary(1.0).variants[1].share


def test_a_canary_is_an_experiment_like_others() -> None:
    found = canary()
    assert found.name == "canary-20260102t000000-000z"
    assert found.canary
    assert [variant.model for variant in found.variants] == [OLD, NEW]
    assert (found.margin, found.window_s) == (0.05, 60.0)
    assert decode_stored_experiment(encode_experiment(found)) == found


def test_new_models_are_tried_on_different_users() -> None:
    def users_of(version: str) -> set[UserId]:
        tried = canary(version=version)
        return {user for user in USERS if share_that_sees(tried, [user])}

    assert len(users_of(NEW) & users_of("20260103T000000.000Z")) < 0.3 * len(users_of(NEW))


@pytest.mark.parametrize(
    ("compared", "expected"),
    [
        (Comparison("canary", 0.2, 0.1, 0.3, decision="better"), "promoted"),
        (Comparison("canary", 0.0, -0.04, 0.04, decision="not_worse"), "promoted"),
        (Comparison("canary", -0.4, -0.6, -0.2, decision="worse"), "rolled_back"),
        (Comparison("canary", -0.02, -0.03, -0.01, decision="worse"), "promoted"),
        (Comparison("canary", -0.4, -0.9, 0.1), None),
        (Comparison("canary"), None),
    ],
)
def test_the_verdict_ends_a_canary(compared: Comparison, expected: str | None) -> None:
    assert decision(evidence(compared)) == expected


def test_a_broken_guardrail_rolls_back_a_model_that_is_liked() -> None:
    better = Comparison("canary", 0.2, 0.1, 0.3, decision="better")
    slow = Guardrail("latency", "canary", 900.0, 2.0, False, "slow")
    assert decision(evidence(better, slow)) == "rolled_back"
    assert decision(evidence(better, structs.replace(slow, ok=True))) == "promoted"


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (evidence(Comparison("canary", -0.04, -0.5, 0.4)), "promoted"),
        (evidence(Comparison("canary", -0.06, -0.5, 0.4)), "rolled_back"),
        (evidence(Comparison("canary", 0.3)), "promoted"),
        (evidence(), "promoted"),
        (evidence(lists=(0, 0)), "promoted"),
        (evidence(lists=(900, 0)), "rolled_back"),
        (evidence(Comparison("canary", 0.3), ratio_ok=False), "rolled_back"),
    ],
)
def test_without_a_verdict_the_estimate_decides_at_the_end(found: Evidence, expected: str) -> None:
    assert decision(found, after_s=3_599.0) is None
    assert decision(found, after_s=3_600.0) == expected


def test_the_margin_is_about_likes_of_the_current_model_in_an_interleaved_canary_too() -> None:
    # 100 likes against 98 is a relative difference of 2%, and 1% of both; 100 against 94, 6% and 3%.
    close, far = Comparison("canary", -2 / 198), Comparison("canary", -6 / 194)
    assert decision(evidence(close), after_s=3_600.0, kind="interleaved") == "promoted"
    assert decision(evidence(far), after_s=3_600.0, kind="interleaved") == "rolled_back"
