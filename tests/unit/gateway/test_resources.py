"""Items, users, scenarios, models and dead letters over HTTP, on fakes: known answers, pages, bad input."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from gateway.endpoints.rankers import DESCRIPTIONS
from likewise.errors import InvalidInputError, TransientError
from likewise.messages.dead_letters import DeadLetter, send_dead_letters
from likewise.messages.ids import DISLIKE, ItemId, UserId
from likewise.messages.items import CatalogueItem, encode_item
from likewise.messages.scenarios import Scenario, encode_scenario, parse_defaults
from likewise.operations.models import current_version
from likewise.store.port import Changes, UserChange
from likewise.store.shown_port import ShownList, ShownRecord, Viewer
from likewise.testing import MemoryBroker, MemoryStore
from serving.alternatives import RANKERS
from tests.gateway_rig import GatewayRig, on_rig
from tests.serving_rig import BLOCKS, VERSION, block_items, item, like, write_block_model

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

OTHER = "20260102T000000.000Z"


def store_with(*items: CatalogueItem, **scenarios: dict[str, Any]) -> MemoryStore:
    store = MemoryStore()
    documents: dict[ItemId, bytes | None] = {one.item_id: encode_item(one) for one in items}
    stored = {
        name: encode_scenario(Scenario(name, parse_defaults(defaults)))
        for name, defaults in scenarios.items()
    }
    store.apply(Changes(items=documents, scenarios={**stored}), {})
    return store


def film(item_id: str, title: str, *categories: str) -> CatalogueItem:
    return CatalogueItem(ItemId(item_id), title=title, categories=categories)


def problem(answer: httpx.Response) -> tuple[int, str, str | None]:
    body = answer.json()
    return answer.status_code, body["code"], body.get("field")


def test_items_are_found_page_by_page(tmp_path: Path) -> None:
    liked = item(0, 0)
    store = store_with(film("a", "Star Wars", "war"), film("b", "A star", "drama", "war"))
    store.apply(Changes(items={liked: encode_item(film(liked, "Starman", "drama"))}), {})

    async def story(rig: GatewayRig) -> None:
        found = (await rig.client.get("/v1/items", params={"q": "STAR"})).json()
        assert [one["title"] for one in found["items"]] == ["Starman", "Star Wars", "A star"]
        assert found["items"][0] == {
            "item_id": liked,
            "likes": 4,
            "title": "Starman",
            "categories": ["drama"],
        }
        assert found["cursor"] is None
        wars = (await rig.client.get("/v1/items", params={"q": "star", "category": "war"})).json()
        assert [one["item_id"] for one in wars["items"]] == ["a", "b"]

        seen: list[str] = []
        query: dict[str, Any] = {"limit": 7}
        while True:
            page = (await rig.client.get("/v1/items", params=query)).json()
            seen += [one["item_id"] for one in page["items"]]
            if page["cursor"] is None:
                break
            query["cursor"] = page["cursor"]
        everything = {one for block in range(BLOCKS) for one in block_items(block)} | {"a", "b"}
        assert len(seen) == len(everything)
        assert set(seen) == everything
        assert set(seen[-2:]) == {"a", "b"}  # which nobody likes

    on_rig(tmp_path, story, store=store)


def test_categories_come_with_their_items(tmp_path: Path) -> None:
    store = store_with(film("a", "A", "war", "drama"), film("b", "B", "war"), film("c", "C"))

    async def story(rig: GatewayRig) -> None:
        answer = await rig.client.get("/v1/categories")
        assert answer.json() == [{"name": "war", "items": 2}, {"name": "drama", "items": 1}]
        assert len((await rig.client.get("/v1/categories?limit=1")).json()) == 1

    on_rig(tmp_path, story, store=store)


def test_an_item_says_what_catalogue_and_model_know(tmp_path: Path) -> None:
    known = item(0, 0)
    store = store_with(film("fresh", "New"))
    store.apply(Changes(retire={known}), {})

    async def story(rig: GatewayRig) -> None:
        assert (await rig.client.get("/v1/items/fresh")).json() == {
            "item_id": "fresh",
            "likes": 0,
            "title": "New",
            "known": False,
            "retired": False,
        }
        retired = (await rig.client.get(f"/v1/items/{known}")).json()
        assert retired == {"item_id": known, "likes": 4, "known": True, "retired": True}
        assert problem(await rig.client.get("/v1/items/none")) == (404, "unknown_item", None)

    on_rig(tmp_path, story, store=store)


def test_an_item_is_published_as_the_consumers_read_it(tmp_path: Path) -> None:
    async def story(rig: GatewayRig) -> None:
        body = {"title": "Dune", "labels": {"year": 1984, "tags": ["a"]}, "published_at": 1e12}
        put = await rig.client.put("/v1/items/d%2F1", json=body)
        assert put.json() == {"position": "0:0"}
        removed = await rig.client.delete("/v1/items/d%2F1")
        assert removed.json() == {"position": "0:1"}
        first, second = rig.broker.records("items")
        assert (first.key, second.key, second.value) == (b"d/1", b"d/1", None)
        assert json.loads(first.value or b"")["labels"] == {"year": 1984, "tags": ["a"]}

    on_rig(tmp_path, story)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"item_id": "y"}, 400, "key_mismatch"),
        ({"title": 1}, 400, "wrong_type"),
        ({"labels": {"a": {}}}, 400, "invalid_label"),
        ({"labels": {"$a": 1}}, 400, "invalid_label"),
        ({"published_at": "never"}, 400, "invalid_published_at"),
        ({"title": "x" * 70_000}, 413, "body_too_large"),
        ([], 400, "wrong_type"),
    ],
)
def test_bad_items_are_refused(tmp_path: Path, body: Any, status: int, code: str) -> None:
    async def story(rig: GatewayRig) -> None:
        refused = await rig.client.put("/v1/items/x", json=body)
        assert problem(refused)[:2] == (status, code)
        assert rig.broker.records("items") == []

    on_rig(tmp_path, story)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/v1/items?limit=0", "wrong_type"),
        ("/v1/items?limit=1000", "wrong_type"),
        ("/v1/items?cursor=x", "invalid_cursor"),
        ("/v1/items?cursor=WzEsMl0x", "invalid_cursor"),
        ("/v1/items?cursor=WzE4NDQ2NzQ0MDczNzA5NTUxNjE2LDFd", "invalid_cursor"),  # 2^64
        ("/v1/items?cursor=%C3%A9", "invalid_cursor"),
        ("/v1/items?nope=1", "unknown_parameter"),
        ("/v1/users/u/likes?cursor=WzEsMl0", "invalid_cursor"),
        ("/v1/users/u/likes?limit=x", "wrong_type"),
        ("/v1/scenarios?cursor=MQ", "invalid_cursor"),
        ("/v1/models?cursor=MQ", "invalid_cursor"),
        (f"/v1/users/{'u' * 300}", "invalid_id"),
    ],
)
def test_bad_parameters_are_refused(tmp_path: Path, path: str, code: str) -> None:
    async def story(rig: GatewayRig) -> None:
        assert problem(await rig.client.get(path))[:2] == (400, code)

    on_rig(tmp_path, story)


def test_what_a_user_likes_comes_with_titles_in_pages(tmp_path: Path) -> None:
    store = store_with(film("b", "B"))
    like(store, "ann", ["c", "b", "a"])

    async def story(rig: GatewayRig) -> None:
        first = (await rig.client.get("/v1/users/ann/likes?limit=2")).json()
        assert [one["item_id"] for one in first["items"]] == ["a", "b"]
        assert first["items"][1] == {"item_id": "b", "likes": 0, "title": "B"}
        assert first["total"] == 3
        query = {"limit": 2, "cursor": first["cursor"]}
        last = (await rig.client.get("/v1/users/ann/likes", params=query)).json()
        assert [one["item_id"] for one in last["items"]] == ["c"]
        assert last["cursor"] is None
        nobody = (await rig.client.get("/v1/users/nobody/likes")).json()
        assert nobody == {"items": [], "total": 0, "cursor": None}

    on_rig(tmp_path, story, store=store)


def test_a_user_has_counts_and_the_lists_shown_lately(tmp_path: Path) -> None:
    store = MemoryStore()
    like(store, "ann", ["a", "b"])
    change = UserChange()
    change.signal(DISLIKE).add.add(ItemId("c"))
    store.apply(Changes(users={UserId("ann"): change}, kinds={DISLIKE}), {})
    shown = ShownList(5_000, "r1", 1, tuple(ItemId(f"i{one}") for one in range(60)))
    store.record_shown([ShownRecord(Viewer("user", "ann"), shown, 10, 1e6)])

    async def story(rig: GatewayRig) -> None:
        user = (await rig.client.get("/v1/users/ann")).json()
        [one] = user.pop("shown")
        assert user == {"user_id": "ann", "likes": 2, "signals": {"dislike": 1}}
        assert (one["at_ms"], one["recommendation_id"], one["page"]) == (5_000, "r1", 1)
        assert len(one["items"]) == 50
        nobody = (await rig.client.get("/v1/users/nobody")).json()
        assert nobody == {"user_id": "nobody", "likes": 0, "signals": {}, "shown": []}

    on_rig(tmp_path, story, store=store)


def test_scenarios_are_listed_shown_and_published(tmp_path: Path) -> None:
    async def story(rig: GatewayRig) -> None:
        home = {"name": "home", "defaults": {"count": 5}}
        page = (await rig.client.get("/v1/scenarios?limit=1")).json()
        assert [one["name"] for one in page["scenarios"]] == ["cart"]
        rest = (await rig.client.get("/v1/scenarios", params={"cursor": page["cursor"]})).json()
        assert rest == {"scenarios": [home], "cursor": None}
        assert (await rig.client.get("/v1/scenarios/home")).json() == home
        assert problem(await rig.client.get("/v1/scenarios/no"))[:2] == (404, "unknown_scenario")
        put = await rig.client.put("/v1/scenarios/mail", json={"defaults": {"count": 3}})
        assert put.json() == {"position": "0:0"}
        wrong = await rig.client.put("/v1/scenarios/mail", json={"defaults": {"user_id": "u"}})
        assert problem(wrong)[:2] == (400, "invalid_scenario")
        assert (await rig.client.delete("/v1/scenarios/mail")).status_code == 200
        first, second = rig.broker.records("scenarios")
        assert (first.key, second.value) == (b"mail", None)

    on_rig(tmp_path, story, store=store_with(home={"count": 5}, cart={"count": 1}))


def test_the_status_counts_users_only_when_asked_to(tmp_path: Path) -> None:
    store = MemoryStore()
    like(store, "ann", ["a", "b"])

    async def story(rig: GatewayRig) -> None:
        status = (await rig.client.get("/v1/status")).json()
        assert status["unreachable"] == []
        assert (status["redis"]["users"], status["redis"]["likes"]) == (None, None)
        assert status["kafka"]["likes"]["partitions"] == 3
        counted = (await rig.client.get("/v1/status?counts=true")).json()
        assert (counted["redis"]["users"], counted["redis"]["likes"]) == (1, 2)

    on_rig(tmp_path, story, store=store)


def test_models_are_listed_described_and_used(tmp_path: Path) -> None:
    store = MemoryStore()

    async def story(rig: GatewayRig) -> None:
        store.announce_model(write_block_model(tmp_path, OTHER, blocks=2))
        page = (await rig.client.get("/v1/models?limit=1")).json()
        assert [(row["version"], row["current"]) for row in page["versions"]] == [(OTHER, True)]
        rest = (await rig.client.get("/v1/models", params={"cursor": page["cursor"]})).json()
        assert [row["version"] for row in rest["versions"]] == [VERSION]
        details = (await rig.client.get(f"/v1/models/{OTHER}")).json()
        assert details["recipe"]["rank"] == 2
        assert details["build"] == {"seconds": {}, "choice": None}
        used = await rig.client.post(f"/v1/models/{VERSION}/use")
        assert used.json()["version"] == current_version(store) == VERSION
        for version in ("20250101T000000.000Z", "..%2f..", "x"):
            for call in (
                rig.client.get(f"/v1/models/{version}"),
                rig.client.post(f"/v1/models/{version}/use"),
            ):
                assert problem(await call)[:2] == (404, "unknown_version")
        (tmp_path / OTHER / "item_factors.npy").write_bytes(b"")
        broken = await rig.client.post(f"/v1/models/{OTHER}/use")
        assert problem(broken)[:2] == (409, "broken_version")
        assert current_version(store) == VERSION

    on_rig(tmp_path, story, store=store)


def test_two_models_are_compared_for_users_with_likes(tmp_path: Path) -> None:
    title = film(item(1, 4), "The missing one")
    store = store_with(title)
    like(store, "ann", block_items(1) - {item(1, 4)})
    like(store, "bob", block_items(3) - {item(3, 0)})

    async def story(rig: GatewayRig) -> None:
        write_block_model(tmp_path, OTHER, blocks=2)  # which does not know what bob likes
        body = {"versions": [VERSION, OTHER]}
        found = (await rig.client.post("/v1/models/compare", json=body)).json()
        assert (found["versions"], found["users"]) == ([VERSION, OTHER], 2)
        assert 0 < found["overlap"] < 1
        worst, best = found["examples"]
        assert worst["overlap"] < best["overlap"]
        [ann] = [each for each in found["examples"] if each["user_id"] == "ann"]
        first = {"item_id": item(1, 4), "title": "The missing one"}
        assert [items[0] for items in ann["lists"]] == [first, first]
        same = {"versions": [VERSION, VERSION], "users": 1}
        alike = (await rig.client.post("/v1/models/compare", json=same)).json()
        assert (alike["overlap"], alike["users"]) == (1.0, 1)
        for versions in (["x", VERSION], [VERSION, "current"]):
            wrong = await rig.client.post("/v1/models/compare", json={"versions": versions})
            assert problem(wrong)[:2] == (404, "unknown_version")
        one = await rig.client.post("/v1/models/compare", json={"versions": [VERSION]})
        assert problem(one)[:2] == (400, "wrong_type")

    on_rig(tmp_path, story, store=store)


def test_every_ranker_is_described() -> None:
    assert set(DESCRIPTIONS) == set(RANKERS)


def test_rankers_are_the_current_one_and_those_built_next_to_it(tmp_path: Path) -> None:
    async def story(rig: GatewayRig) -> None:
        [current] = (await rig.client.get("/v1/rankers")).json()
        assert (current["ranker"], current["version"], current["current"]) == (
            "blend",
            VERSION,
            True,
        )
        write_block_model(tmp_path / "alternatives" / "neighbours", OTHER, blocks=2)
        _, other = (await rig.client.get("/v1/rankers")).json()
        assert (other["ranker"], other["version"], other["current"]) == ("neighbours", OTHER, False)

    on_rig(tmp_path, story)


def test_dead_letters_are_grouped_and_replayed_by_code(tmp_path: Path) -> None:
    broker = MemoryBroker()

    async def story(rig: GatewayRig) -> None:
        sink = broker.sink()
        for code, value in ("not_json", b"{1"), ("not_json", b"{2"), ("unknown_action", b"{3"):
            sink.send("likes", value, key=b"\xff", partition=0)
            letter = DeadLetter.of(broker.records("likes")[-1], InvalidInputError(code, "no"))
            send_dead_letters(sink, "likes.dead-letters", [letter])
        found = (await rig.client.get("/v1/dead-letters?limit=1")).json()
        assert (found["total"], found["not_read"]) == (3, 0)
        first, second = found["groups"]
        assert (first["code"], first["count"], second["code"]) == ("not_json", 2, "unknown_action")
        assert "JSON" in first["meaning"]
        [example] = first["examples"]
        assert (example["key_base64"], example["value_base64"]) == ("/w==", "ezI=")
        assert example["source"] == {"topic": "likes", "partition": 0, "offset": 1}
        only = (await rig.client.get("/v1/dead-letters?code=unknown_action")).json()
        assert [group["code"] for group in only["groups"]] == ["unknown_action"]

        codes = {"codes": ["unknown_action"]}
        for body, sent in ({**codes, "dry_run": True}, 1), (codes, 1), ({}, 3), ({}, 0):
            replayed = await rig.client.post("/v1/dead-letters/replay", json=body)
            assert replayed.json()["sent"] == sent
        assert len(broker.records("likes")) == 3 + 1 + 3
        empty = await rig.client.post("/v1/dead-letters/replay", json={"codes": []})
        assert problem(empty)[:2] == (400, "wrong_type")

    on_rig(tmp_path, story, broker=broker)


def test_a_message_is_checked_and_published(tmp_path: Path) -> None:
    async def story(rig: GatewayRig) -> None:
        document = (await rig.client.get("/v1/messages")).json()
        assert document["asyncapi"] == "3.0.0"
        sent = await rig.client.post("/v1/messages/Like", json={"user_id": "u", "item_id": "i"})
        assert sent.json() == {"topic": "likes", "position": "0:0", "reply": None}
        assert rig.broker.records("likes")[0].key == b"u"
        item_sent = await rig.client.post("/v1/messages/item", json={"item_id": "i"})
        assert item_sent.json()["topic"] == "items"
        assert rig.gateway.stats.published == 2  # as every other event is
        for name, body, status, code in [
            ("Like", {"user_id": "u"}, 400, "missing_field"),
            ("Scenario", {"defaults": {}}, 400, "missing_field"),
            ("RequestForUser", {"user_id": "u", "count": 0}, 400, "invalid_count"),
            ("Recommendations", {}, 404, "unknown_message"),
            ("nope", {}, 404, "unknown_message"),
        ]:
            refused = await rig.client.post(f"/v1/messages/{name}", json=body)
            assert problem(refused)[:2] == (status, code), name
        empty = await rig.client.post("/v1/messages/Like")
        assert problem(empty)[:2] == (400, "not_json")

    on_rig(tmp_path, story)


def test_only_a_few_slow_calls_run_at_once(tmp_path: Path) -> None:
    async def story(rig: GatewayRig) -> None:
        slow, release = rig.gateway.slow, asyncio.Event()
        loop = asyncio.get_running_loop()

        def block() -> None:
            asyncio.run_coroutine_threadsafe(release.wait(), loop).result()

        running = [asyncio.create_task(slow.run(block)) for _ in range(2)]
        await asyncio.sleep(0)
        refused = await rig.client.get("/v1/dead-letters")
        assert problem(refused)[:2] == (503, "overloaded")
        assert refused.headers["Retry-After"]
        running.pop().cancel()  # whose thread still works
        await asyncio.sleep(0)
        assert (await rig.client.get("/v1/dead-letters")).status_code == 503
        release.set()
        await asyncio.gather(*running)
        while slow.running:
            await asyncio.sleep(0)
        assert (await rig.client.get("/v1/dead-letters")).status_code == 200

    on_rig(tmp_path, story)


def test_without_redis_the_answer_is_to_come_again(tmp_path: Path) -> None:
    store = MemoryStore()

    async def story(rig: GatewayRig) -> None:
        store.failure = TransientError("gone").of("redis")
        for path in (
            "/v1/items",
            "/v1/users/u",
            "/v1/users/u/likes",
            "/v1/scenarios",
            "/v1/models",
        ):
            answer = await rig.client.get(path)
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable"), path
        status = (await rig.client.get("/v1/status")).json()
        assert status["redis"] is None
        assert status["unreachable"] == ["gone"]

    on_rig(tmp_path, story, store=store)
