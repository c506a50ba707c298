"""The gateway over fakes: paths, decoding, problems, and the way of a like."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tests.gateway_rig import GatewayRig, gateway_rig
from tests.serving_rig import item, likes_but_one

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path


def on_rig(directory: Path, story: Callable[[GatewayRig], Awaitable[None]], **how: Any) -> None:
    async def run() -> None:
        async with gateway_rig(directory, **how) as rig:
            await story(rig)

    asyncio.run(run())


def test_a_like_is_published_and_changes_the_answer(tmp_path: Path) -> None:
    async def story(rig: GatewayRig) -> None:
        for liked in likes_but_one(3, missing=2):
            put = await rig.client.put(f"/v1/users/ann/likes/{liked}")
            assert put.status_code == 200
            assert put.headers["Likewise-Position"] == put.json()["position"]
        rig.apply()
        answer = await rig.client.get(
            "/v1/users/ann/recommendations",
            params={"count": 1},
            headers={"Likewise-Position": put.headers["Likewise-Position"]},
        )
        assert answer.status_code == 200
        assert [one["item_id"] for one in answer.json()["items"]] == [item(3, 2)]
        assert answer.headers["Likewise-Model"] == answer.json()["model"]["version"]

    on_rig(tmp_path, story)


def test_ids_may_hold_anything_that_is_encoded(tmp_path: Path) -> None:
    async def story(rig: GatewayRig) -> None:
        put = await rig.client.put("/v1/users/a%2Fb%20%C3%A9%3F/likes/%2e%2e%2Fx")
        assert put.status_code == 200
        [record] = rig.broker.records("likes")
        assert record.key == "a/b é?".encode()
        assert b'"../x"' in (record.value or b"")
        refused = await rig.client.put("/v1/users/%ff/likes/x")
        assert refused.status_code == 400
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.json()["code"] == "invalid_id"

    on_rig(tmp_path, story)


def test_errors_are_problems_with_the_codes_of_the_protocol(tmp_path: Path) -> None:
    async def story(rig: GatewayRig) -> None:
        path = "/v1/users/ann/recommendations"
        for query, status, code, field in [
            ("count=0", 400, "invalid_count", "count"),
            ("count=x", 400, "wrong_type", "count"),
            ("nope=1", 400, "unknown_parameter", "nope"),
            ("count=1&count=2", 400, "repeated_parameter", "count"),
            ("diversity=nan", 400, "invalid_diversity", "diversity"),
            ("scenario=none", 404, "unknown_scenario", "scenario"),
            ("after=99:1", 400, "invalid_position", "after"),
            ("where=%7B", 400, "invalid_where", "where"),
            ("ranker=none", 404, "unknown_ranker", "ranker"),
        ]:
            answer = await rig.client.get(f"{path}?{query}")
            body = answer.json()
            assert (answer.status_code, body["code"]) == (status, code), query
            assert body.get("field") == field, query
            assert body["type"] == f"/docs#error-{code}"
        assert (await rig.client.get("/v1/nothing")).json()["code"] == "not_found"
        wrong = await rig.client.post(path)
        assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET")

    on_rig(tmp_path, story)


def test_the_paths_of_the_page_serve_its_document(tmp_path: Path) -> None:
    async def story(rig: GatewayRig) -> None:
        for path in ("/", "/users/ann", "/items/a%2Fb", "/live", "/page/index.html"):
            assert "likewise" in (await rig.client.get(path)).text
        for path in ("/page/../app.py", "/page/..%2fapp.py", "/page/%2e%2e/app.py", "/page/none"):
            assert (await rig.client.get(path)).status_code == 404

    on_rig(tmp_path, story)
