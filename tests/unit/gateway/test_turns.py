"""How concurrent requests gather, what happens at the limits, and while the store is away."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

from gateway.failures import FailureLog
from gateway.problem import Problem
from likewise.errors import TransientError
from likewise.models.layout import alternatives_in
from likewise.settings import Settings
from likewise.settings.gateway import GatewaySettings
from likewise.testing import MemoryStore
from tests.gateway_rig import gateway_rig
from tests.serving_rig import like, likes_but_one, write_block_model

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    import pytest

    from likewise.messages.ids import SignalKind, UserId
    from likewise.records import TopicPartition
    from likewise.store.port import Lookup

PATH = "/v1/users/{}/recommendations?count=1"
NEWER = "20260202T000000.000Z"


class Gate(MemoryStore):
    """A store that lets look-ups for users through one by one, and that can be away."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []
        self.entered = threading.Semaphore(0)
        self.open = threading.Event()
        self.away = False

    def lookup(
        self,
        users: Sequence[UserId],
        partitions: Sequence[TopicPartition],
        kinds: Collection[SignalKind] = (),
    ) -> Lookup:
        if self.away:
            raise TransientError("redis is away").of("redis")
        if users:
            self.asked.append(len(users))
            self.entered.release()
            assert self.open.wait(30)
        return super().lookup(users, partitions, kinds)


def test_what_arrives_meanwhile_is_looked_up_together(tmp_path: Path) -> None:
    store = Gate()

    async def run() -> list[int]:
        async with gateway_rig(tmp_path, store=store) as rig:
            first = asyncio.create_task(rig.client.get(PATH.format("first")))
            await asyncio.to_thread(
                store.entered.acquire
            )  # a lone request does not wait for others
            others = [
                asyncio.create_task(rig.client.get(PATH.format(f"u{number}")))
                for number in range(20)
            ]
            while rig.gateway.stats.in_flight < 21:
                await asyncio.sleep(0)
            store.open.set()
            return [answer.status_code for answer in await asyncio.gather(first, *others)]

    assert asyncio.run(run()) == [200] * 21
    assert store.asked == [1, 20]


def test_beyond_the_limit_a_request_is_refused_at_once(tmp_path: Path) -> None:
    store = Gate()
    settings = Settings(gateway=GatewaySettings(max_requests_in_flight=2))

    async def run() -> None:
        async with gateway_rig(tmp_path, settings, store=store) as rig:
            accepted = [
                asyncio.create_task(rig.client.get(PATH.format(user))) for user in ("a", "b")
            ]
            while rig.gateway.stats.in_flight < 2:
                await asyncio.sleep(0)
            refused = await rig.client.get(PATH.format("c"))
            assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
            assert refused.headers["Retry-After"] == "1"
            assert (await rig.client.get("/healthz")).status_code == 200
            store.open.set()
            assert [one.status_code for one in await asyncio.gather(*accepted)] == [200, 200]
            assert (await rig.client.get(PATH.format("c"))).status_code == 200
            assert rig.gateway.stats.rejected == {"overloaded": 1}

    asyncio.run(run())


def test_no_deadline_lets_a_request_wait_longer_than_the_gateway_does(tmp_path: Path) -> None:
    settings = Settings(gateway=GatewaySettings(wait_timeout_ms=50))

    async def run() -> tuple[int, str]:
        async with gateway_rig(tmp_path, settings) as rig:
            late = await rig.client.get(PATH.format("ann") + "&after=0:9&deadline_ms=3600000")
            return late.status_code, late.json()["code"]

    assert asyncio.run(run()) == (504, "after_timeout")


def test_while_the_store_is_away_answers_are_503_and_then_come_again(tmp_path: Path) -> None:
    store = Gate()
    store.open.set()

    async def run() -> None:
        async with gateway_rig(tmp_path, store=store) as rig:
            assert (await rig.client.get(PATH.format("u"))).status_code == 200
            assert rig.gateway.answers.ready
            store.away = True
            failed = await rig.client.get(PATH.format("u"))
            assert (failed.status_code, failed.json()["code"]) == (503, "unavailable")
            assert not rig.gateway.answers.ready
            assert rig.gateway.stats.server_errors == {"redis": 1}
            store.away = False
            assert (await rig.client.get(PATH.format("u"))).status_code == 200
            assert rig.gateway.answers.ready

    asyncio.run(run())


def test_a_request_may_name_another_ranker(tmp_path: Path) -> None:
    write_block_model(alternatives_in(tmp_path) / "neighbours", NEWER, blocks=4)
    store = MemoryStore()
    like(store, "u", likes_but_one(3))

    async def run() -> list[dict[str, Any]]:
        async with gateway_rig(tmp_path, store=store) as rig:
            path = PATH.format("u")
            answers = await asyncio.gather(
                rig.client.get(f"{path}&ranker=neighbours"),
                rig.client.get(path),
                rig.client.post(
                    "/v1/recommendations", json={"user_id": "u", "count": 1, "ranker": "neighbours"}
                ),
            )
            assert rig.gateway.stats.model_version != NEWER
            return [answer.json() for answer in answers]

    by_name, usual, posted = asyncio.run(run())
    assert by_name["model"]["version"] == posted["model"]["version"] == NEWER
    assert usual["model"]["version"] != NEWER
    assert by_name["items"][0]["item_id"] == usual["items"][0]["item_id"]


def test_a_flood_of_failures_is_one_line_a_second(capsys: pytest.CaptureFixture[str]) -> None:
    now_s = 0.0
    failures = FailureLog(lambda: now_s)
    for _ in range(100):
        failures.note("GET /x", Problem("unavailable", "away"), TransientError("redis is away"))
    now_s = 1.5
    failures.note("GET /x", Problem("unavailable", "away"), TransientError("redis is away"))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert "more=99" in lines[1]
