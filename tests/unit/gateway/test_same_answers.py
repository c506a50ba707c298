"""A gateway answers every request exactly as a server does."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from likewise.messages.ids import DISLIKE, ItemId, UserId
from likewise.messages.items import CatalogueItem, encode_item
from likewise.messages.request_options import RequestOptions
from likewise.messages.scenarios import Scenario, encode_scenario
from likewise.records import TopicPartition
from likewise.store.port import Advance, Changes, UserChange
from likewise.testing import MemoryStore
from tests.gateway_rig import gateway_rig
from tests.serving_rig import (
    BLOCK_ITEMS,
    BLOCKS,
    VERSION,
    Rig,
    item,
    like,
    likes_but_one,
    write_block_model,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

    from tests.gateway_rig import GatewayRig

U = {"user_id": "u"}
WHERE = {"$or": [{"price": {"$lt": 2}}, {"categories": "odd"}]}
REQUESTS: list[dict[str, Any]] = [
    U,
    {"user_id": "nobody", "count": 3},
    {"user_id": "u", "count": 1_000, "explain": True},
    {"user_id": "u", "diversity": 0.7, "novelty": 0.4},
    {"user_id": "u", "exclude": [item(3, 1)], "without": [item(3, 2)]},
    {"user_id": "u", "include_liked": True, "fill": False},
    {"user_id": "u", "where": WHERE, "fields": ["title", "price"]},
    {"user_id": "u", "boost": [{"where": {"price": {"$gt": 2}}, "factor": 3}]},
    {"user_id": "u", "pin": [{"item_id": item(9, 0), "place": 2}]},
    {"user_id": "u", "max_per": {"field": "block", "count": 1}},
    {"user_id": "u", "only": [item(1, 1), item(3, 1), "unknown"]},
    {"user_id": "u", "scenario": "home"},
    {"user_id": "u", "scenario": "nowhere"},
    {"user_id": "u", "source": "popular"},
    {"user_id": "u", "explore": 0.5},
    {"user_id": "u", "rotation": 1.0},
    {"user_id": "u", "after": "0:1"},
    {"source": "trending"},
    {"source": "new", "count": 4},
    {"liked": likes_but_one(5)},
    {"liked": []},
    {"similar_to": item(4, 1), "user_id": "u"},
    {"similar_to": "unknown"},
    {"users_for": item(3, 2), "count": 3},
    {"users_like": "3/1", "count": 3},
    {"users_for": "unknown"},
    {"user_id": "u", "count": 0},
    {"user_id": ""},
    {"liked": ["x"], "user_id": "u"},
    {"user_id": "u", "version": 2},
    {},
]


def filled() -> MemoryStore:
    """Return a store with likes, signals, a catalogue and a scenario."""
    store = MemoryStore()
    like(store, "u", likes_but_one(3))
    for block in range(BLOCKS):
        like(store, f"{block}/1", likes_but_one(block, missing=1))
    disliking = UserChange()
    disliking.signal(DISLIKE).add.add(item(3, 0))
    items = [
        CatalogueItem(
            item(block, number),
            title=f"{block}.{number}",
            categories=("odd" if number % 2 else "even",),
            labels={"price": float(number), "block": f"b{block}"},
            published_at_ms=1_600_000_000_000 + block,
        )
        for block in range(BLOCKS - 1)
        for number in range(BLOCK_ITEMS)
    ]
    home = Scenario("home", RequestOptions(count=2, novelty=0.5, fields=("title",)))
    store.apply(
        Changes(
            users={UserId("d"): disliking},
            kinds={DISLIKE},
            retire={ItemId(item(7, 0))},
            items={one.item_id: encode_item(one) for one in items},
            scenarios={"home": encode_scenario(home)},
        ),
        {TopicPartition("likes", 0): Advance(None, 2)},
    )
    return store


@pytest.fixture
def server(tmp_path: Path) -> Rig:
    write_block_model(tmp_path / "server", VERSION, blocks=BLOCKS, user_ids=True)
    return Rig(tmp_path / "server", VERSION, store=filled(), partitions=3)


def comparable(body: dict[str, Any]) -> dict[str, Any]:
    """Return an answer without what is random."""
    known = {key: value for key, value in body.items() if key not in {"recommendation_id", "error"}}
    error: dict[str, Any] = body.get("error", {})
    return known | error


def of_gateway(answer: httpx.Response) -> dict[str, Any]:
    body: dict[str, Any] = answer.json()
    if answer.status_code != 200:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.status_code < 500
        return {"code": body["code"], "message": body["detail"]}
    return comparable(body)


def as_query(request: dict[str, Any]) -> Iterator[str]:
    for name, value in request.items():
        if name == "where":
            yield f"where={quote(json.dumps(value))}"
        elif isinstance(value, list):
            yield from (f"{name}={quote(one)}" for one in value)
        else:
            yield f"{name}={str(value).lower() if isinstance(value, bool) else quote(str(value))}"


def test_every_request_is_answered_as_by_a_server(server: Rig, tmp_path: Path) -> None:
    async def story(rig: GatewayRig) -> None:
        for request in REQUESTS:
            expected = comparable(server.answer(request, reply_partition=0))
            expected.pop("user_id", None) if "code" in expected else None
            found = of_gateway(await rig.client.post("/v1/recommendations", json=request))
            assert found == expected, request
        together = await asyncio.gather(
            *(rig.client.post("/v1/recommendations", json=request) for request in REQUESTS)
        )
        for request, answer in zip(REQUESTS, together, strict=True):
            if "rotation" not in request:  # what was shown before counts
                expected = comparable(server.answer(request, reply_partition=0))
                expected.pop("user_id", None) if "code" in expected else None
                assert of_gateway(answer) == expected, request

    run(tmp_path, server, story)


def test_parameters_make_the_same_request_as_a_body(server: Rig, tmp_path: Path) -> None:
    async def story(rig: GatewayRig) -> None:
        for request in REQUESTS[2:17]:
            if {"boost", "pin", "max_per"} & request.keys():
                continue  # only in a body
            query = "&".join(as_query({k: v for k, v in request.items() if k != "user_id"}))
            found = await rig.client.get(f"/v1/users/u/recommendations?{query}")
            posted = await rig.client.post("/v1/recommendations", json=request)
            if "rotation" not in request:
                assert of_gateway(found) == of_gateway(posted), request
        calls: list[tuple[str, dict[str, Any]]] = [
            (f"/v1/items/{item(4, 1)}/similar?user_id=u", {"similar_to": item(4, 1), **U}),
            ("/v1/items/popular?count=3", {"source": "popular", "count": 3}),
            ("/v1/items/trending", {"source": "trending"}),
            ("/v1/items/new", {"source": "new"}),
            (f"/v1/items/{item(3, 2)}/users", {"users_for": item(3, 2)}),
            ("/v1/users/3%2F1/similar", {"users_like": "3/1"}),
        ]
        for path, request in calls:
            posted = await rig.client.post("/v1/recommendations", json=request)
            assert posted.status_code == 200
            assert of_gateway(await rig.client.get(path)) == of_gateway(posted), path

    run(tmp_path, server, story)


def test_pages_follow_each_other_without_repeats(server: Rig, tmp_path: Path) -> None:
    async def story(rig: GatewayRig) -> None:
        shown: list[str] = []
        previous = ""
        for _ in range(3):
            query = f"count=7{previous}"
            answer = await rig.client.get(f"/v1/users/u/recommendations?{query}")
            page = [one["item_id"] for one in answer.json()["items"]]
            assert len(page) == 7
            assert not set(page) & set(shown)
            shown += page
            previous = f"&next_of={answer.json()['recommendation_id']}"

    run(tmp_path, server, story)


def run(tmp_path: Path, server: Rig, story: Any) -> None:
    async def run_story() -> None:
        async with gateway_rig(
            tmp_path / "gateway", store=filled(), user_ids=True, clock_ms=lambda: server.now_ms
        ) as rig:
            await story(rig)

    asyncio.run(run_story())
