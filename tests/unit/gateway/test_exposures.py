"""A gateway during experiments: it answers as a server does, and exposes what its clients got."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from likewise.errors import TransientError
from likewise.experiments.assignment import assigned
from likewise.messages.experiments import Experiment, Variant, encode_experiment
from likewise.messages.exposures import Exposure, decode_exposure
from likewise.messages.ids import UserId
from likewise.messages.request_options import RequestOptions
from likewise.models.layout import alternatives_in
from likewise.store.port import Changes
from likewise.testing import MemoryStore
from tests.gateway_rig import GatewayRig, gateway_rig, on_rig
from tests.serving_rig import items_of, like, likes_but_one, write_block_model
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from likewise.messages.experiments import Kind

OTHER = "20260202T000000.000Z"
PATH = "/v1/users/{}/recommendations"


def running(kind: Kind = "split") -> Experiment:
    short = Variant(name="short", model=OTHER, defaults=RequestOptions(count=4))
    return Experiment(
        name="e", kind=kind, variants=(Variant(name="control"), short), seed="s", started_at_ms=1
    )


def store_with(experiment: Experiment) -> MemoryStore:
    store = MemoryStore()
    for number in range(12):
        like(store, f"u{number}", likes_but_one(number))
    store.apply(Changes(experiments={experiment.name: encode_experiment(experiment)}), {})
    return store


def exposures(rig: GatewayRig) -> list[Exposure]:
    return [decode_exposure(record) for record in rig.broker.records(rig.gateway.topics.exposures)]


async def answers(rig: GatewayRig, query: str = "") -> list[dict[str, Any]]:
    """Ask for every user, once the second model is loaded."""
    while "experiment" not in (await rig.client.get(PATH.format("first"))).json():
        await asyncio.sleep(0.01)
    asked = [rig.client.get(PATH.format(f"u{number}") + query) for number in range(12)]
    return [answer.json() for answer in await asyncio.gather(*asked)]


def test_each_answer_that_a_client_gets_is_exposed_once(tmp_path: Path) -> None:
    experiment = running()
    write_block_model(tmp_path, OTHER, blocks=4)
    seen: list[dict[str, Any]] = []
    found: list[Exposure] = []

    async def run() -> None:
        async with gateway_rig(tmp_path, store=store_with(experiment)) as rig:
            seen.extend(await answers(rig))
        found.extend(exposures(rig))  # at the stop, all are sent
        assert rig.gateway.stats.exposures == len(found)

    asyncio.run(run())
    by_id = {one.recommendation_id: one for one in found if one.user_id != "first"}
    assert len(by_id) == len(seen) == 12
    for answer in seen:
        exposure = by_id[answer["recommendation_id"]]
        part = assigned(experiment, UserId(answer["user_id"]))
        assert part is not None
        assert part.variant is not None
        assert answer["variant"] == exposure.variant == part.variant.name
        assert [*exposure.items] == items_of(answer)
        assert exposure.models == (answer["model"]["version"],)
        assert len(answer["items"]) == (4 if answer["variant"] == "short" else 10)


def test_a_shared_list_has_the_count_of_the_control(tmp_path: Path) -> None:
    write_block_model(tmp_path, OTHER, blocks=4)

    async def story(rig: GatewayRig) -> None:
        for answer in await answers(rig, "?count=6&diversity=0.5"):
            assert len(answer["items"]) == 6
            assert (answer["experiment"], "variant" in answer) == ("e", False)
        await asyncio.to_thread(wait_until, lambda: rig.gateway.stats.exposures >= 13)
        sides = {side for one in exposures(rig) for side in one.placed_by}
        assert sides == {0, 1}

    on_rig(tmp_path, story, store=store_with(running("interleaved")))


def test_what_a_request_sets_itself_stays_also_at_its_default(tmp_path: Path) -> None:
    write_block_model(tmp_path, OTHER, blocks=4)

    async def story(rig: GatewayRig) -> None:
        for answer in await answers(rig, "?count=10"):
            assert len(answer["items"]) == 10
            body = {"user_id": answer["user_id"], "count": 10, "explain": True}
            posted = await rig.client.post("/v1/recommendations", json=body)
            assert len(posted.json()["items"]) == 10

    on_rig(tmp_path, story, store=store_with(running()))


def test_who_asks_for_a_ranker_takes_no_part(tmp_path: Path) -> None:
    write_block_model(tmp_path, OTHER, blocks=4)
    write_block_model(alternatives_in(tmp_path) / "neighbours", OTHER, blocks=4)

    async def story(rig: GatewayRig) -> None:
        await answers(rig)
        answer = await rig.client.get(PATH.format("u1") + "?ranker=neighbours")
        assert "experiment" not in answer.json()
        assert len(answer.json()["items"]) == 10

    on_rig(tmp_path, story, store=store_with(running()))


def test_answers_do_not_wait_for_their_exposures(tmp_path: Path) -> None:
    write_block_model(tmp_path, OTHER, blocks=4)

    async def story(rig: GatewayRig) -> None:
        await answers(rig)
        await asyncio.to_thread(wait_until, lambda: rig.gateway.stats.exposures >= 13)
        rig.broker.fail_with(*[TransientError("away")] * 12, on="send")
        assert all(answer["experiment"] == "e" for answer in await answers(rig))
        await asyncio.to_thread(wait_until, lambda: rig.gateway.stats.exposures_dropped == 12)

    on_rig(tmp_path, story, store=store_with(running()))
