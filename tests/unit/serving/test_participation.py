"""Which requests take part in experiments, and what each variant is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from likewise.experiments.assignment import assigned
from likewise.messages.experiments import Experiment, Variant
from likewise.messages.ids import ItemId, UserId
from likewise.messages.request_options import RequestOptions
from likewise.messages.requests import Request
from likewise.messages.rules import MaxPer, Pin
from serving.participation import Participation, participation_of

if TYPE_CHECKING:
    from likewise.messages.experiments import Kind

U = UserId("u")


def experiment(kind: Kind = "split", **options: Any) -> Experiment:
    """Return an experiment whose second variant has other options than its first."""
    variants = (
        Variant(name="control", defaults=options.pop("control", None)),
        Variant(name="other", defaults=options.pop("other", RequestOptions(novelty=0.5))),
    )
    return Experiment(name="e", kind=kind, variants=variants, seed="s", started_at_ms=1, **options)


def part(request: Request, running: Experiment, **defaults: Any) -> Participation:
    found = participation_of(request, RequestOptions(**defaults) if defaults else None, [running])
    assert found is not None
    return found


@pytest.mark.parametrize(
    "request_",
    [
        Request(liked=(ItemId("i"),)),
        Request(similar_to=ItemId("i")),
        Request(similar_to=ItemId("i"), user_id=U),
        Request(users_for=ItemId("i")),
        Request(users_like=U),
        Request(user_id=U, without=(ItemId("i"),)),
        Request(user_id=U, source="trending"),
        Request(user_id=U, source="popular"),
    ],
)
def test_what_no_model_answers_for_all_likes_takes_no_part(request_: Request) -> None:
    assert participation_of(request_, None, [experiment("interleaved")]) is None


def test_the_source_of_the_scenario_decides_as_that_of_the_request_does() -> None:
    asked = Request(user_id=U, scenario="new")
    assert participation_of(asked, RequestOptions(source="new"), [experiment()]) is None
    assert part(msgspec.structs.replace(asked, source="model"), experiment(), source="new")


@given(st.text(min_size=1, max_size=20))
def test_a_user_is_in_the_variant_that_the_hash_says(user: str) -> None:
    running = experiment(share=0.7)
    expected = assigned(running, UserId(user))
    found = participation_of(Request(user_id=UserId(user)), None, [running])
    if expected is None:
        assert found is None
    else:
        assert found is not None
        assert found.variants == (expected.variant,)


def test_options_of_the_variant_come_after_the_request_and_before_the_scenario() -> None:
    running = experiment(
        control=RequestOptions(count=5, diversity=0.0, novelty=0.1),
        other=RequestOptions(count=5, diversity=0.0, novelty=0.1),
    )
    asked = Request(user_id=U, count=7, scenario="home")
    [made] = part(asked, running, count=20, diversity=0.9, rotation=0.4).requests
    assert (made.count, made.diversity, made.novelty, made.rotation) == (7, 0.0, 0.1, 0.4)
    explicit = msgspec.structs.replace(asked, count=10, explicit=frozenset({"count"}))
    assert part(explicit, running, count=20).requests[0].count == 10


def test_both_variants_of_a_shared_list_are_asked_for_the_same_places() -> None:
    pins = (Pin(ItemId("p"), 2),)
    running = experiment(
        "interleaved",
        control=RequestOptions(count=3, pin=pins),
        other=RequestOptions(count=9, explain=True, max_per=MaxPer("block", 1), novelty=0.2),
    )
    found = part(Request(user_id=U), running)
    control, other = found.requests
    assert [variant.name for variant in found.variants] == ["control", "other"]
    assert (control.count, control.pin, control.novelty) == (3, pins, 0.0)
    assert other == msgspec.structs.replace(control, novelty=0.2)


def test_a_variant_that_does_not_fit_the_request_changes_nothing() -> None:
    small = RequestOptions(count=3)
    asked = Request(user_id=U, count=10, pin=(Pin(ItemId("p"), 8),))
    assert participation_of(asked, None, [experiment(control=small, other=small)]) is None


def test_an_experiment_of_a_scenario_takes_its_requests_alone() -> None:
    running = experiment(scenario="home")
    assert participation_of(Request(user_id=U), None, [running]) is None
    assert part(Request(user_id=U, scenario="home"), running, count=4).requests[0].count == 4
