"""Answers while experiments run: by variants, and lists that two variants share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from likewise.errors import TransientError
from likewise.experiments.assignment import assigned
from likewise.experiments.interleaving import team_draft
from likewise.messages.experiments import Experiment, Variant
from likewise.messages.ids import ItemId, UserId
from likewise.messages.items import CatalogueItem, encode_item
from likewise.messages.request_options import RequestOptions
from likewise.messages.rules import Pin
from likewise.messages.scenarios import Scenario, encode_scenario
from likewise.settings.experiments import ExperimentSettings
from likewise.store.port import Changes
from likewise.testing.memory_streams import MemorySink
from tests.serving_rig import (
    BLOCK_ITEMS,
    BLOCKS,
    VERSION,
    Rig,
    item,
    items_of,
    like,
    likes_but_one,
    write_block_model,
)

if TYPE_CHECKING:
    from pathlib import Path

    from likewise.log.port import Delivery
    from likewise.messages.experiments import Kind
    from likewise.messages.exposures import Exposure

OTHER = "20260202T000000.000Z"
USERS = [UserId(f"u{number}") for number in range(60)]


def experiment(
    control: Variant | None = None,
    other: Variant | None = None,
    *,
    kind: Kind = "split",
    name: str = "e",
    share: float = 1.0,
) -> Experiment:
    variants = (control or Variant(name="control"), other or Variant(name="other", model=OTHER))
    return Experiment(
        name=name, kind=kind, variants=variants, seed=name, started_at_ms=1, share=share
    )


OPTIONS = Variant(name="other", defaults=RequestOptions(count=4, explain=True))


@pytest.fixture
def two_models(tmp_path: Path) -> Rig:
    """A server whose directory has a second model: it knows the first four blocks alone."""
    write_block_model(tmp_path, VERSION, blocks=BLOCKS)
    write_block_model(tmp_path, OTHER, blocks=4)
    rig = Rig(tmp_path, VERSION)
    for number, user in enumerate(USERS):
        like(rig.store, user, likes_but_one(number % BLOCKS))
    return rig


def asked_together(rig: Rig, bodies: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the replies to a batch of requests, in their order."""
    before = {reply["request_id"] for reply in rig.replies()}
    for number, body in enumerate(bodies, len(before)):
        rig.ask({**body, "request_id": str(number)})
    rig.worker.run_once()
    rig.impressions.write_pending()
    replies = [reply for reply in rig.replies() if reply["request_id"] not in before]
    return sorted(replies, key=lambda reply: int(reply["request_id"]))


def by_id(rig: Rig) -> dict[str, Exposure]:
    found = {one.recommendation_id: one for one in rig.exposures()}
    assert len(found) == len(rig.exposures())
    return found


def check(reply: dict[str, Any], exposure: Exposure) -> None:
    """Assert that an exposure says what its reply says."""
    assert exposure.user_id == reply["user_id"]
    assert [*exposure.items] == items_of(reply)
    assert exposure.experiment == reply.get("experiment")
    assert exposure.variant == reply.get("variant")
    assert exposure.scenario == reply.get("scenario")
    assert exposure.models[0] == reply["model"]["version"]


def test_each_user_is_answered_by_the_variant_of_the_hash(two_models: Rig) -> None:
    running = experiment(share=0.8)
    two_models.run_experiment(running)
    replies = asked_together(two_models, [{"user_id": user, "count": 3} for user in USERS])
    exposures = by_id(two_models)
    seen = set()
    assert len(replies) == len(USERS)
    for reply in replies:
        part = assigned(running, reply["user_id"])
        variant = None if part is None or part.variant is None else part.variant.name
        seen.add(variant)
        assert reply.get("variant") == variant
        assert reply["model"]["version"] == (OTHER if variant == "other" else VERSION)
        if variant is None:
            assert reply["recommendation_id"] not in exposures
            assert "experiment" not in reply
        else:
            check(reply, exposures[reply["recommendation_id"]])
    assert seen == {None, "control", "other"}
    assert two_models.worker.stats.exposures == len(exposures)


def test_the_options_of_a_variant_apply_to_its_users(two_models: Rig) -> None:
    running = experiment(other=OPTIONS)
    two_models.run_experiment(running)
    for reply in asked_together(two_models, [{"user_id": user} for user in USERS]):
        assert len(reply["items"]) == (4 if reply["variant"] == "other" else 10)
        assert ("because" in reply["items"][0]) == (reply["variant"] == "other")


def test_what_a_request_sets_itself_stays_also_at_its_default(two_models: Rig) -> None:
    two_models.run_experiment(experiment(other=OPTIONS))
    bodies = [{"user_id": user, "count": 10, "explain": None} for user in USERS]
    for reply in asked_together(two_models, bodies):
        assert len(reply["items"]) == 10
        assert ("because" in reply["items"][0]) == (reply["variant"] == "other")


def test_a_shared_list_is_the_team_draft_of_what_each_variant_answers(two_models: Rig) -> None:
    bodies = [{"user_id": user} for user in USERS]
    others = Rig(two_models.directory, OTHER, store=two_models.store)
    first, second = asked_together(two_models, bodies), asked_together(others, bodies)
    two_models.run_experiment(experiment(kind="interleaved"))
    shared = asked_together(two_models, bodies)
    exposures = by_id(two_models)
    for one, other, reply in zip(first, second, shared, strict=True):
        exposure = exposures[reply["recommendation_id"]]
        expected = team_draft(
            [ItemId(item_id) for item_id in items_of(one)],
            [ItemId(item_id) for item_id in items_of(other)],
            10,
            seed=reply["recommendation_id"],
        )
        assert items_of(reply) == [placed.item_id for placed in expected]
        assert exposure.placed_by == tuple(placed.by for placed in expected)
        assert exposure.models == (VERSION, OTHER)
        assert (reply["experiment"], "variant" in reply) == ("e", False)
        check(reply, exposure)


def test_pages_of_a_shared_list_repeat_nothing_and_are_lists_of_their_own(two_models: Rig) -> None:
    two_models.run_experiment(experiment(kind="interleaved"))
    pages = [two_models.answer({"user_id": "u3", "count": 6})]
    for _ in range(5):
        previous = pages[-1]["recommendation_id"]
        pages.append(two_models.answer({"user_id": "u3", "count": 6, "next_of": previous}))
    shown = [one for page in pages for one in items_of(page)]
    assert len(shown) == len({*shown}) == 36
    assert {*shown}.isdisjoint(likes_but_one(3))
    exposures = by_id(two_models)
    for page in pages:
        check(page, exposures[page["recommendation_id"]])


def test_rotation_of_one_variant_alone_reads_what_was_shown(two_models: Rig) -> None:
    rotating = Variant(name="other", defaults=RequestOptions(rotation=1.0))
    two_models.run_experiment(experiment(other=rotating, kind="interleaved"))
    like(two_models.store, "v", [item(3, 0), item(3, 1)])
    placed: dict[int, set[str]] = {0: set(), 1: set()}
    for _ in range(30):
        reply = two_models.answer({"user_id": "v", "count": 1})
        placed[two_models.exposures()[-1].placed_by[0]].update(items_of(reply))
    assert len(placed[0]) == 1, "the control repeats itself"
    assert len(placed[1]) > 1, "the other variant does not"


def test_rules_fields_and_pins_hold_in_shared_lists(two_models: Rig) -> None:
    items: dict[ItemId, bytes | None] = {
        one: encode_item(CatalogueItem(one, title=one, labels={"block": f"b{block}"}))
        for block in range(BLOCKS)
        for number in range(BLOCK_ITEMS)
        for one in [item(block, number)]
    }
    two_models.store.apply(Changes(items=items), {})
    pinned = (Pin(item(11, 2), 2),)
    control = Variant(name="control", defaults=RequestOptions(pin=pinned, fields=("title",)))
    two_models.run_experiment(experiment(control, kind="interleaved"))
    limits = {"max_per": {"field": "block", "count": 1}, "exclude": [item(0, 0)], "count": 6}
    for user in USERS[:11]:
        reply = two_models.answer({"user_id": user, **limits})
        exposure = two_models.exposures()[-1]
        shown = items_of(reply)
        assert shown[1] == item(11, 2)
        assert exposure.placed_by[1] == -1
        assert {*exposure.placed_by} == {-1, 0, 1}
        others = [one for one in shown if one != item(11, 2)]
        assert len({one.split(".")[0] for one in others}) == len(others)
        assert item(0, 0) not in shown
        assert [one["fields"] for one in reply["items"]] == [{"title": one} for one in shown]


def test_the_scenario_is_named_and_its_experiment_comes_first(two_models: Rig) -> None:
    home = Scenario("home", RequestOptions(count=7))
    two_models.store.apply(Changes(scenarios={"home": encode_scenario(home)}), {})
    two_models.run_experiment(experiment(name="everywhere", other=OPTIONS))
    at_home = msgspec.structs.replace(experiment(name="at-home", other=OPTIONS), scenario="home")
    two_models.run_experiment(at_home)
    reply = two_models.answer({"user_id": "u1", "scenario": "home"})
    assert (reply["experiment"], reply["scenario"]) == ("at-home", "home")
    assert len(reply["items"]) == (4 if reply["variant"] == "other" else 7)
    assert two_models.exposures()[-1].scenario == "home"
    assert two_models.answer({"user_id": "u1"})["experiment"] == "everywhere"


@pytest.mark.parametrize("kind", ["split", "interleaved"])
def test_while_a_model_is_missing_nobody_counts_and_everybody_is_answered(
    two_models: Rig, kind: Kind
) -> None:
    missing = Variant(name="other", model="20270101T000000.000Z")
    two_models.run_experiment(experiment(other=missing, kind=kind))
    for reply in asked_together(two_models, [{"user_id": user} for user in USERS]):
        assert reply["model"]["version"] == VERSION
        assert len(reply["items"]) == 10
        assert not {"experiment", "variant"} & reply.keys()
    assert two_models.exposures() == []
    assert two_models.worker.stats.lists_not_counted == len(USERS)


def test_a_request_that_was_read_before_the_stop_counts_for_nothing(two_models: Rig) -> None:
    two_models.run_experiment(experiment(name="later"))
    running = experiment(kind="interleaved")
    two_models.run_experiment(running)
    two_models.ask({"user_id": "u1", "after": "0:0"})
    two_models.worker.run_once()
    two_models.run_experiment(msgspec.structs.replace(running, stopped_at_ms=2))
    two_models.applied(0, 1)
    two_models.worker.run_once()  # sees that the like is applied
    two_models.worker.run_once()
    [reply] = two_models.replies()
    assert "experiment" not in reply
    assert two_models.exposures() == []


def test_what_takes_no_part_is_not_exposed(two_models: Rig) -> None:
    two_models.run_experiment(experiment())
    bodies: list[dict[str, Any]] = [
        {"liked": likes_but_one(2)},
        {"similar_to": item(1, 1), "user_id": "u1"},
        {"user_id": "u1", "source": "popular"},
        {"user_id": "u1", "without": [item(1, 1)]},
        {"user_id": "u1", "count": 0},
        {"user_id": "u1", "scenario": "nowhere"},
    ]
    replies = asked_together(two_models, bodies)
    assert len(replies) == len(bodies)
    assert not any("experiment" in reply for reply in replies)
    assert two_models.exposures() == []


def test_all_lists_are_exposed_if_the_operator_says_so(model_directory: Path) -> None:
    rig = Rig(model_directory, VERSION, experiments=ExperimentSettings(lists="all"))
    like(rig.store, "u", likes_but_one(3))
    replies = asked_together(rig, [{"user_id": "u"}, {"liked": []}, {"user_id": "u", "count": 2}])
    exposures = by_id(rig)
    assert len(exposures) == 2
    for reply in (replies[0], replies[2]):
        check(reply, exposures[reply["recommendation_id"]])
        assert "experiment" not in reply
    rig.run_experiment(experiment(other=OPTIONS, share=0.5))
    variants = {one.get("variant") for one in asked_together(rig, [{"user_id": u} for u in USERS])}
    assert variants == {None, "control", "other"}
    assert len(rig.exposures()) == 2 + len(USERS)


def test_an_exposure_counts_popular_items_and_the_time_from_the_arrival(two_models: Rig) -> None:
    two_models.run_experiment(experiment(kind="interleaved"))
    two_models.ask({"user_id": "nobody", "count": 60, "after": "0:0"})
    two_models.worker.run_once()
    two_models.now_ms += 250
    two_models.applied(0, 1)
    two_models.worker.run_once()  # sees that the like is applied
    two_models.worker.run_once()
    [exposure] = two_models.exposures()
    assert (exposure.latency_ms, exposure.shown_at_ms) == (250.0, two_models.now_ms)
    assert exposure.popular == 1, "of 60 items, one is the most popular hundredth"


def test_an_exposure_that_kafka_refuses_costs_no_reply(two_models: Rig) -> None:
    two_models.run_experiment(experiment())
    two_models.broker.delete_topic(two_models.topics.exposures)
    replies = asked_together(two_models, [{"user_id": user} for user in USERS])
    assert len(replies) == len(USERS)
    assert two_models.committed() == len(USERS)
    assert two_models.worker.stats.exposures_dropped == len(USERS)
    assert two_models.dead_letters() == []


def test_a_batch_is_committed_once_its_exposures_are_confirmed(
    two_models: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_models.run_experiment(experiment())
    failures = [TransientError("no room")]
    committed: list[int | None] = []
    send = MemorySink.send

    def failing(sink: MemorySink, topic: str, *given: Any, **named: Any) -> Delivery:
        if topic == two_models.topics.exposures:
            committed.append(two_models.committed())
            if failures:
                raise failures.pop()
        return send(sink, topic, *given, **named)

    monkeypatch.setattr(MemorySink, "send", failing)
    replies = asked_together(two_models, [{"user_id": user} for user in USERS[:5]])
    assert [reply["user_id"] for reply in replies] == USERS[:5], "each was sent once"
    assert len(by_id(two_models)) == 5
    assert {*committed} == {None}
    assert two_models.committed() == 5
    assert two_models.worker.stats.retries == 1


def test_an_exposure_whose_confirmation_is_lost_is_sent_again(two_models: Rig) -> None:
    two_models.run_experiment(experiment())
    two_models.ask({"user_id": "u1"})
    two_models.broker.fail_with(TransientError("lost"), TransientError("lost"), on="deliver")
    two_models.worker.run_once()
    assert [one.user_id for one in two_models.exposures()] == ["u1"] * 2
    assert len({one.recommendation_id for one in two_models.exposures()}) == 1
    assert len(two_models.replies()) == 2
    assert two_models.worker.stats.exposures == 1
    assert two_models.committed() == 1


def test_a_reply_that_is_never_sent_is_not_exposed(two_models: Rig) -> None:
    two_models.run_experiment(experiment())
    two_models.ask({"user_id": "u1"}, reply_partition=9)
    two_models.worker.run_once()
    [reply] = two_models.replies()
    assert reply["error"]["code"] == "invalid_reply_partition"
    assert two_models.exposures() == []
