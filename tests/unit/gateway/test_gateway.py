"""The gateway over fakes: paths, decoding, problems, and the way of a like."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from likewise.errors import TransientError
from likewise.messages.ids import UserId
from likewise.settings import Settings
from likewise.settings.gateway import GatewaySettings
from likewise.settings.signals import SignalSettings
from tests.gateway_rig import GatewayRig, on_rig
from tests.serving_rig import item, likes_but_one

if TYPE_CHECKING:
    from pathlib import Path


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


def test_every_signal_is_published_as_its_event(tmp_path: Path) -> None:
    calls = [
        ("PUT", "dislikes/x", {"action": "dislike"}),
        ("DELETE", "dislikes/x", {"action": "undislike"}),
        ("PUT", "hidden/x", {"action": "hide"}),
        ("DELETE", "hidden/x", {"action": "unhide"}),
        ("PUT", "signals/buy/x", {"action": "signal", "kind": "buy"}),
        ("DELETE", "signals/buy/x", {"action": "unsignal", "kind": "buy"}),
        ("PUT", "likes/x?recommendation_id=r1", {"action": "like", "recommendation_id": "r1"}),
        ("DELETE", "likes/x", {"action": "unlike"}),
    ]

    async def story(rig: GatewayRig) -> None:
        for method, path, _ in calls:
            answer = await rig.client.request(method, f"/v1/users/ann/{path}")
            assert answer.status_code == 200, answer.text
        assert (await rig.client.delete("/v1/users/ann")).status_code == 200
        merged = await rig.client.post("/v1/users/guest/merge", json={"into": "ann"})
        assert merged.status_code == 200
        sent = [json.loads(record.value or b"") for record in rig.broker.records("likes")]
        by_action = {event.pop("action"): event for event in sent}
        assert by_action == {
            **{
                expected["action"]: {"user_id": "ann", "item_id": "x"}
                | {key: value for key, value in expected.items() if key != "action"}
                for _, _, expected in calls
            },
            "forget_user": {"user_id": "ann"},
            "merge_users": {"user_id": "guest", "into": "ann"},
        }
        for path, code in [
            ("signals/sell/x", "unknown_kind"),
            ("signals/like/x", "invalid_kind"),
            ("likes/x?recommendation_id=!", "invalid_recommendation_id"),
            ("likes/" + "x" * 257, "invalid_id"),
        ]:
            refused = await rig.client.put(f"/v1/users/ann/{path}")
            assert (refused.status_code, refused.json()["code"]) == (400, code)

    on_rig(tmp_path, story, settings=Settings(signals=SignalSettings(kinds={"buy": 2.0})))


def test_a_write_waits_until_it_counts_or_says_that_it_does_not_yet(tmp_path: Path) -> None:
    async def story(rig: GatewayRig) -> None:
        late = await rig.client.put("/v1/users/ann/likes/x?wait=applied")
        assert (late.status_code, late.json()) == (202, {"position": "0:0"})
        put = asyncio.create_task(rig.client.put("/v1/users/ann/likes/y?wait=applied"))
        while not put.done():
            await asyncio.sleep(0)
            rig.apply()
        assert put.result().status_code == 200
        assert set(rig.store.liked_items([UserId("ann")])[0]) == {"x", "y"}

    settings = Settings(gateway=GatewaySettings(wait_timeout_ms=300))
    on_rig(tmp_path, story, settings=settings)


EVENTS = [
    {"user_id": "ann", "item_id": "a"},
    {"user_id": "bob", "item_id": "b", "action": "unlike", "timestamp": "2026-01-01T00:00:00Z"},
    {"item_id": "c", "action": "retire_item"},
]


def test_events_are_published_as_they_were_sent_in_every_form(tmp_path: Path) -> None:
    async def story(rig: GatewayRig) -> None:
        lines = "\n".join(map(json.dumps, EVENTS)) + "\n\n"
        for body, media_type, events in [
            (json.dumps(EVENTS), "application/json", EVENTS),
            (json.dumps(EVENTS[0]), "application/json", EVENTS[:1]),
            (lines, "application/x-ndjson; charset=utf-8", EVENTS),
            ("[]", "application/json", []),
        ]:
            before = {(one.partition, one.offset) for one in rig.broker.records("likes")}
            answer = await rig.client.post(
                "/v1/events", content=body, headers={"Content-Type": media_type}
            )
            assert answer.status_code == 200, answer.text
            found = {
                f"{one.partition}:{one.offset}": json.loads(one.value or b"")
                for one in rig.broker.records("likes")
                if (one.partition, one.offset) not in before
            }
            positions = answer.json()["positions"]
            assert answer.json()["published"] == len(events)
            assert [found[position] for position in positions] == events
            assert answer.headers.get("Likewise-Position") == (positions or [None])[-1]

    on_rig(tmp_path, story)


def test_one_invalid_event_publishes_none_and_every_error_names_its_event(tmp_path: Path) -> None:
    events: list[dict[str, Any]] = [
        *EVENTS,
        {"user_id": "ann"},
        {"user_id": "ann", "item_id": "x", "action": "no"},
    ]
    events += [{"user_id": 1.5, "item_id": "x"}, {"user_id": "a", "item_id": "x", "kind": "z"}]
    events[-1]["action"] = "signal"

    async def story(rig: GatewayRig) -> None:
        answer = await rig.client.post("/v1/events", json=events)
        body = answer.json()
        assert (answer.status_code, body["code"], body["index"]) == (400, "missing_field", 3)
        assert [(one["index"], one["code"], one.get("field")) for one in body["errors"]] == [
            (3, "missing_field", "item_id"),
            (4, "unknown_action", None),
            (5, "wrong_type", "user_id"),
            (6, "unknown_kind", "kind"),
        ]
        for bad in (b"", b"[", b"[1, }", b"nope", b"\xff", b"[" * 100_000):
            refused = await rig.client.post("/v1/events", content=bad)
            assert refused.status_code == 400, bad
        too_large = await rig.client.post("/v1/events", content=b" " * (8 * 1024 * 1024 + 1))
        assert too_large.status_code == 413
        wrong = await rig.client.post(
            "/v1/events", content=b"{}", headers={"Content-Type": "text/plain"}
        )
        assert wrong.status_code == 415
        assert rig.broker.records("likes") == []

    on_rig(tmp_path, story)


def test_what_kafka_does_not_confirm_is_no_success(tmp_path: Path) -> None:
    async def story(rig: GatewayRig) -> None:
        rig.broker.fail_with(TransientError("broker gone").of("kafka"), on="deliver")
        put = await rig.client.put("/v1/users/ann/likes/x")
        assert (put.status_code, put.json()["code"]) == (503, "unavailable")
        assert put.headers["Retry-After"] == "1"
        rig.broker.fail_with(TransientError("broker gone").of("kafka"), on="deliver")
        posted = await rig.client.post("/v1/events", json=EVENTS)
        assert posted.status_code == 503
        assert posted.json()["published"] == 2
        assert [position is None for position in posted.json()["positions"]].count(True) == 1
        assert (await rig.client.put("/v1/users/ann/likes/x")).status_code == 200

    on_rig(tmp_path, story)
