"""Experiments over HTTP, on fakes: started, shown, stopped, removed; who may; and what is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from gateway.security.key_file import change_keys
from gateway.security.keys import new_key, stored_key
from likewise.errors import TransientError
from likewise.messages.experiments import (
    Experiment,
    Outcome,
    Variant,
    decode_experiment,
    encode_experiment,
)
from likewise.settings import Settings
from likewise.settings.gateway import GatewaySettings
from likewise.store.port import Changes
from likewise.testing import MemoryStore
from tests.gateway_rig import GatewayRig, on_rig
from tests.serving_rig import VERSION

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from gateway.security.principal import Role

NOVEL = {"variants": [{"name": "control"}, {"name": "novel", "defaults": {"novelty": 0.3}}]}


def experiment(name: str, started_at_ms: int, stopped_at_ms: int | None = None) -> Experiment:
    return Experiment(
        name=name,
        kind="split",
        variants=(Variant(name="control"), Variant(name="other")),
        seed=name,
        started_at_ms=started_at_ms,
        stopped_at_ms=stopped_at_ms,
        outcome=None if stopped_at_ms is None else Outcome(decision="stopped"),
    )


def store_with(*experiments: Experiment) -> MemoryStore:
    store = MemoryStore()
    documents: dict[str, bytes | None] = {one.name: encode_experiment(one) for one in experiments}
    store.apply(Changes(experiments=documents), {})
    return store


def consume(rig: GatewayRig) -> None:
    """Apply the documents on the topic, as a consumer does."""
    for record in rig.broker.records("experiments"):
        document = decode_experiment(record)
        value = encode_experiment(document) if isinstance(document, Experiment) else None
        rig.store.apply(Changes(experiments={document.name: value}), {})


def problem(answer: httpx.Response) -> tuple[int, str, str | None]:
    body = answer.json()
    return answer.status_code, body["code"], body.get("field")


def test_an_experiment_is_started_shown_stopped_and_removed(tmp_path: Path) -> None:
    async def story(rig: GatewayRig) -> None:
        path = "/v1/experiments/home-novelty"
        started = (await rig.client.put(path, json={**NOVEL, "share": 0.2})).json()
        assert started["position"] == "0:0"
        assert started["experiment"]["share"] == 0.2
        [record] = rig.broker.records("experiments")
        assert record.key == b"home-novelty"
        assert json.loads(record.value or b"") == started["experiment"]

        consume(rig)
        shown = (await rig.client.get(path)).json()
        assert shown["experiment"] == started["experiment"]
        assert list(shown["tally"]["variants"]) == ["control", "novel"]
        assert shown["tally"]["variants"]["novel"]["lists"] == 0

        stopped = await rig.client.post(f"{path}/stop", params={"reason": "seen enough"})
        assert stopped.status_code == 200
        consume(rig)
        ended = (await rig.client.get(path)).json()["experiment"]
        assert ended["outcome"]["decision"] == "stopped"
        assert ended["outcome"]["reason"] == "seen enough"
        assert ended["stopped_at_ms"] >= ended["started_at_ms"]

        assert (await rig.client.delete(path)).status_code == 200
        consume(rig)
        assert problem(await rig.client.get(path))[:2] == (404, "unknown_experiment")

    on_rig(tmp_path, story)


def test_experiments_that_run_are_listed_before_the_last_stopped(tmp_path: Path) -> None:
    store = store_with(
        experiment("old", 1, 5),
        experiment("second", 2),
        experiment("ended", 1, 9),
        experiment("first", 1),
    )

    async def story(rig: GatewayRig) -> None:
        async def names(**query: Any) -> list[str]:
            page = (await rig.client.get("/v1/experiments", params=query)).json()
            found = [one["name"] for one in page["experiments"]]
            if page["cursor"] is not None:
                found += await names(**{**query, "cursor": page["cursor"]})
            return found

        everything = ["first", "second", "ended", "old"]
        assert await names() == await names(limit=1) == everything
        assert await names(state="running") == everything[:2]
        assert await names(state="ended", limit=1) == everything[2:]

    on_rig(tmp_path, story, store=store)


@pytest.mark.parametrize(
    ("name", "body", "status", "code", "field"),
    [
        ("Upper", NOVEL, 400, "invalid_experiment", "name"),
        ("x", [], 400, "wrong_type", None),
        ("x", {}, 400, "missing_field", "variants"),
        ("x", {**NOVEL, "share": 2}, 400, "wrong_type", "share"),
        ("x", {**NOVEL, "kind": "both"}, 400, "invalid_experiment", "kind"),
        (
            "x",
            {"variants": [{"name": "a"}, {"name": "B"}]},
            400,
            "invalid_experiment",
            "variants.name",
        ),
        ("x", {**NOVEL, "stopped_at_ms": 1}, 400, "invalid_experiment", "stopped_at_ms"),
        (
            "x",
            {"variants": [{"name": "a", "model": "none"}]},
            404,
            "unknown_version",
            "variants.model",
        ),
        (
            "x",
            {"variants": [{"name": "a", "ranker": "none"}]},
            400,
            "invalid_experiment",
            "variants.ranker",
        ),
        (
            "x",
            {"variants": [{"name": "a", "defaults": {"count": 0}}]},
            400,
            "invalid_count",
            "count",
        ),
        ("runs", NOVEL, 409, "experiment_state", "name"),
    ],
)
def test_what_cannot_start_is_refused_with_the_field(
    tmp_path: Path, name: str, body: Any, status: int, code: str, field: str | None
) -> None:
    store = store_with(experiment("runs", 1), experiment("ended", 1, 2))

    async def story(rig: GatewayRig) -> None:
        refused = await rig.client.put(f"/v1/experiments/{name}", json=body)
        assert problem(refused) == (status, code, field)
        assert str(tmp_path) not in refused.text
        assert rig.broker.records("experiments") == []

    on_rig(tmp_path, story, store=store)


def test_a_variant_may_name_a_version_and_the_only_variant_gets_a_control(tmp_path: Path) -> None:
    async def story(rig: GatewayRig) -> None:
        body = {"variants": [{"name": "newer", "model": VERSION}]}
        started = (await rig.client.put("/v1/experiments/x", json=body)).json()["experiment"]
        assert [one["name"] for one in started["variants"]] == ["control", "newer"]
        assert started["variants"][1]["model"] == VERSION

    on_rig(tmp_path, story)


def test_a_stopped_experiment_is_replaced_with_a_note(tmp_path: Path) -> None:
    async def story(rig: GatewayRig) -> None:
        started = await rig.client.put("/v1/experiments/ended", json=NOVEL)
        assert started.status_code == 200
        assert "replaces" in started.json()["notes"][0]

    on_rig(tmp_path, story, store=store_with(experiment("ended", 1, 2)))


def test_only_what_runs_is_stopped_and_only_what_has_stopped_is_removed(tmp_path: Path) -> None:
    store = store_with(experiment("runs", 1), experiment("ended", 1, 2))

    async def story(rig: GatewayRig) -> None:
        for call, status, code in [
            (rig.client.post("/v1/experiments/ended/stop"), 409, "experiment_state"),
            (rig.client.delete("/v1/experiments/runs"), 409, "experiment_state"),
            (rig.client.post("/v1/experiments/none/stop"), 404, "unknown_experiment"),
            (rig.client.delete("/v1/experiments/none"), 404, "unknown_experiment"),
            (rig.client.get("/v1/experiments/none"), 404, "unknown_experiment"),
            (rig.client.get("/v1/experiments?cursor=MQ"), 400, "invalid_cursor"),
            (rig.client.get("/v1/experiments?state=all"), 400, "wrong_type"),
        ]:
            assert problem(await call)[:2] == (status, code)
        assert rig.broker.records("experiments") == []

    on_rig(tmp_path, story, store=store)


def test_who_may_read_may_look_and_only_an_admin_may_change(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    roles: tuple[Role, ...] = ("read", "write", "admin")
    keys = {role: new_key() for role in roles}
    stored = [stored_key(key, name=role, roles=(role,)) for role, key in keys.items()]
    change_keys(file, lambda known: (*known, *stored))
    settings = Settings(gateway=GatewaySettings(keys_file=file))

    async def story(rig: GatewayRig) -> None:
        for role, key in keys.items():
            headers = {"Authorization": f"Bearer {key}"}
            looked = await rig.client.get("/v1/experiments/runs", headers=headers)
            path = "/v1/experiments/x"
            changes = [
                rig.client.put(path, json=NOVEL, headers=headers),
                rig.client.post("/v1/experiments/runs/stop", headers=headers),
                rig.client.delete("/v1/experiments/ended", headers=headers),
            ]
            changed = [(await change).status_code for change in changes]
            assert looked.status_code == (403 if role == "write" else 200)
            assert changed == [200 if role == "admin" else 403] * 3

    store = store_with(experiment("runs", 1), experiment("ended", 1, 2))
    on_rig(tmp_path, story, store=store, settings=settings)


def test_without_redis_the_answer_is_to_come_again(tmp_path: Path) -> None:
    store = MemoryStore()

    async def story(rig: GatewayRig) -> None:
        store.failure = TransientError("gone").of("redis")
        for call in (
            rig.client.get("/v1/experiments"),
            rig.client.get("/v1/experiments/x"),
            rig.client.put("/v1/experiments/x", json=NOVEL),
        ):
            assert problem(await call)[:2] == (503, "unavailable")

    on_rig(tmp_path, story, store=store)
